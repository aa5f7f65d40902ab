"""Side, position and modifiers of an image, with where each was read.

Order:   codes before words, image before series, and last of all what a film scan was called:
         side      (Frame, Image) Laterality > Anatomic Region > words > Patient Orientation
         position  View Code Sequence > View Position > words > Patient Orientation
Words:   of Series Description and other free text (``tags.FREE_TEXT``), then of any other text of
         the header where these tell nothing, then of Patient ID.
Doubt:   attributes that disagree are a note; the earlier one of the order wins.

References:
    DICOM PS3.3 C.8.11.7 (mammography image), C.7.6.1.1.1 (patient orientation), PS3.16 CID 4014
    and CID 4015.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from fourview.dicom import tags
from fourview.dicom.codes import (
    MODIFIER_CODES,
    SIDE_CODES,
    VIEW_CODES,
    VIEW_WORDS,
)
from fourview.dicom.elements import Elements
from fourview.dicom.view_words import side_in, views_in
from fourview.entities import Side, View
from fourview.text import shown

MAGNIFIED = 1.4  # radiographic magnification: contact views have 1.0 to 1.1, magnified 1.5 to 2
_NAMED_BY_VIEW = re.compile(
    r"^(?P<patient>.+?)[ _-]+(?:LEFT|RIGHT|L|R)[ _-]*(?:CC|MLO)(?:[ _-]\d{1,2})?$", re.IGNORECASE
)
_MODIFIERS_IN_WORDS = re.compile(
    r"(?P<specimen>SPECIMEN)|(?P<biopsy>BIOPSY|STEREOTA)|(?P<localisation>LOCALI[SZ])"
    r"|(?<![A-Z])(?:(?P<spot>SPOT)|(?P<magnification>MAG|MAGNIFICATION|MAGNIFIED)"
    r"|(?P<wire>WIRE|NEEDLE))(?![A-Z])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFacts:
    """What a header says of side and view; None where it says nothing that can be understood."""

    side: Side | None
    position: str | None
    modifiers: tuple[str, ...]
    source: str
    notes: tuple[str, ...]

    @property
    def view(self) -> View | None:
        """The view; None where side or position is unknown."""
        if self.side is None or self.position is None:
            return None
        return View(
            side=self.side,
            position=self.position,
            modifiers=self.modifiers,
            source=self.source,
        )


@dataclass(frozen=True, slots=True)
class _SourcedValue:
    """A side or position, and the attribute that it was read from."""

    source: str
    value: str


def read_view(elements: Elements, more: Sequence[tuple[str, str]] = ()) -> ViewFacts:
    """Find side, position and modifiers.

    Args:
        elements: The header.
        more: Further texts of the header with the names of their attributes, for files whose
            usual attributes tell nothing.
    """
    notes: list[str] = []
    words = list(_in_words(elements, more))
    side = _first("side", [*_sides(elements, notes), *(w for w, _ in words if w)], notes)
    position = _first("view", [*_positions(elements, notes), *(w for _, w in words if w)], notes)
    if side is None or position is None:
        hung = _from_orientation(elements)
        side, position = (
            own or _with_note(guess, notes)
            for own, guess in zip((side, position), hung, strict=True)
        )
    modifiers = _modifiers(elements, notes)
    if position is not None and position.value == "specimen":
        modifiers, position = modifiers | {"specimen"}, None
    sources = dict.fromkeys(own.source for own in (position, side) if own is not None)
    return ViewFacts(
        side=cast("Side", side.value) if side else None,
        position=position.value if position else None,
        modifiers=tuple(sorted(modifiers)),
        source=", ".join(sources),
        notes=tuple(notes),
    )


def patient_of_film(patient_id: str) -> str | None:
    """The patient in an id that names one film, such as P_00001_LEFT_CC; None where it does not.

    CBIS-DDSM gives every film a patient and a study of its own; without this no exam would have
    more than one view.
    """
    match = _NAMED_BY_VIEW.match(patient_id)
    return match["patient"] if match else None


def functional_groups(elements: Elements, tag: int) -> Iterator[Elements]:
    """Items of a macro in the shared groups and in those of the first frame."""
    for groups in (tags.SHARED_GROUPS, tags.FRAME_GROUPS):
        for group in elements.items.get(groups, [])[:1]:
            yield from group.items.get(tag, [])


def _sides(elements: Elements, notes: list[str]) -> Iterator[_SourcedValue]:
    values = [
        _SourcedValue("FrameLaterality", item.text(tags.FRAME_LATERALITY) or "")
        for item in functional_groups(elements, tags.FRAME_ANATOMY)
    ]
    values.append(_SourcedValue("ImageLaterality", elements.text(tags.IMAGE_LATERALITY) or ""))
    values.append(_SourcedValue("Laterality", elements.text(tags.LATERALITY) or ""))
    for word in values:
        side = side_in(word.value)
        if side is not None:
            yield _SourcedValue(word.source, side)
        elif word.value:
            notes.append(f"{word.source} is '{shown(word.value)}', which is neither R nor L")
    position = views_in(elements.text(tags.VIEW_POSITION) or "")[0]
    if len(position) == 1:
        yield _SourcedValue("ViewPosition", next(iter(position)))
    for region in elements.items.get(tags.ANATOMIC_REGION, []):
        holders = (region, *region.items.get(tags.ANATOMIC_MODIFIERS, []))
        sides = {SIDE_CODES[_code(h)] for h in holders if _code(h) in SIDE_CODES}
        sides = sides or {s for h in holders if (s := side_in(h.text(tags.CODE_MEANING) or ""))}
        if len(sides) == 1:
            yield _SourcedValue("AnatomicRegionSequence", sides.pop())


def _positions(elements: Elements, notes: list[str]) -> Iterator[_SourcedValue]:
    for item in _view_items(elements):
        code = _code(item)
        if code in VIEW_CODES:
            yield _SourcedValue("ViewCodeSequence", VIEW_CODES[code])
            continue
        meant = views_in(item.text(tags.CODE_MEANING) or "")[1]
        if code:
            taken = "; its meaning was taken" if len(meant) == 1 else ""
            notes.append(
                f"ViewCodeSequence has the code '{shown(code)}', which is no known view{taken}"
            )
        if len(meant) == 1:
            yield _SourcedValue("ViewCodeSequence", next(iter(meant)))
    word = (elements.text(tags.VIEW_POSITION) or "").upper()
    if word in VIEW_WORDS:
        yield _SourcedValue("ViewPosition", VIEW_WORDS[word])
    elif word:
        named = views_in(word)[1]
        if len(named) == 1:
            yield _SourcedValue("ViewPosition", next(iter(named)))
        else:
            notes.append(f"ViewPosition is '{shown(word)}', which is no known view")
    orientation = (elements.text(tags.PATIENT_ORIENTATION) or "").upper()
    if orientation in VIEW_WORDS:  # CBIS-DDSM
        yield _SourcedValue("PatientOrientation", VIEW_WORDS[orientation])


def _in_words(
    elements: Elements, more: Sequence[tuple[str, str]]
) -> Iterator[tuple[_SourcedValue | None, _SourcedValue | None]]:
    """Side and position from free text, each where a text names exactly one."""
    usual = [(source, elements.text(tag)) for source, tag in tags.FREE_TEXT.items()]
    for source, text in (*usual, *more, ("PatientID", elements.text(tags.PATIENT_ID))):
        if text is None:
            continue
        sides, positions = views_in(text)
        yield (
            _SourcedValue(source, next(iter(sides))) if len(sides) == 1 else None,
            _SourcedValue(source, next(iter(positions))) if len(positions) == 1 else None,
        )


def _from_orientation(elements: Elements) -> tuple[_SourcedValue | None, _SourcedValue | None]:
    """Side and position from the directions of rows and columns, as films are hung.

    The lateral half of a CC view is up, so its columns run to the left of a right breast; oblique
    views run to the feet and the same side (FL, FR). Columns that run to the head are those of an
    oblique view stored upside down. A CC view stored upside down would mislead.
    """
    directions = [word.upper() for word in elements.texts(tags.PATIENT_ORIENTATION)]
    if len(directions) == 2 and directions[1][:1] in ("A", "P"):
        directions.reverse()
    if len(directions) != 2 or directions[0] not in ("A", "P"):
        return None, None
    down = directions[1]
    if "H" in down:
        down = down.translate(str.maketrans("HLR", "FRL"))
    position = {"R": "CC", "L": "CC", "FR": "MLO", "FL": "MLO", "F": "ML"}.get(down)
    side = {"R": "L", "FR": "L", "L": "R", "FL": "R"}.get(down)
    source = "PatientOrientation"
    return (
        _SourcedValue(source, side) if side else None,
        _SourcedValue(source, position) if position else None,
    )


def _with_note(guess: _SourcedValue | None, notes: list[str]) -> _SourcedValue | None:
    if guess is not None:
        notes.append(f"{guess.value} was concluded from PatientOrientation alone")
    return guess


def _modifiers(elements: Elements, notes: list[str]) -> set[str]:
    codes = [
        _code(item)
        for holder in (*_view_items(elements), elements)
        for item in holder.items.get(tags.VIEW_MODIFIERS, [])
    ]
    modifiers = {MODIFIER_CODES[code] for code in codes if code in MODIFIER_CODES}
    notes.extend(
        f"ViewModifierCodeSequence has the code '{shown(code)}', which is no known modifier"
        for code in codes
        if code and code not in MODIFIER_CODES
    )
    for source, tag in (
        ("SeriesDescription", tags.SERIES_DESCRIPTION),
        ("PaddleDescription", tags.PADDLE),
    ):
        text = elements.text(tag) or ""
        for match in () if codes or not text else _MODIFIERS_IN_WORDS.finditer(text):
            word = "localisation" if match.lastgroup == "wire" else str(match.lastgroup)
            if word not in modifiers:
                modifiers.add(word)
                notes.append(f"{word} was concluded from {source} '{shown(text)}' alone")
    factor = elements.number(tags.MAGNIFICATION)
    if factor is not None and factor >= MAGNIFIED and "magnification" not in modifiers:
        modifiers.add("magnification")
        notes.append(f"magnification was concluded from a radiographic factor of {factor:g} alone")
    return modifiers


def _view_items(elements: Elements) -> list[Elements]:
    return [
        *elements.items.get(tags.VIEW_CODES, []),
        *functional_groups(elements, tags.VIEW_CODES),
    ]


def _code(item: Elements) -> str:
    return item.text(tags.CODE_VALUE) or item.text(tags.LONG_CODE_VALUE) or ""


def _first(what: str, values: list[_SourcedValue], notes: list[str]) -> _SourcedValue | None:
    """The first word on a question; others that differ become a note."""
    if not values:
        return None
    others = [f"{t.source} says {t.value}" for t in values[1:] if t.value != values[0].value]
    if others:
        notes.append(
            f"{what}: {values[0].source} says {values[0].value}, {', '.join(others)}; "
            f"took {values[0].value}"
        )
    return values[0]
