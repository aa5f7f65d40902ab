"""Side, position and modifiers of an image, with where each was read.

Order:   codes before words, image before series, and last of all what a film scan was called:
         side      (Frame, Image) Laterality > words > Patient Orientation
         position  View Code Sequence > View Position > words > Patient Orientation
Doubt:   attributes that disagree are a note; the earlier one of the order wins.

References:
    DICOM PS3.3 C.8.11.7 (mammography image), C.7.6.1.1.1 (patient orientation), PS3.16 CID 4014
    and CID 4015.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from fourview.dicom import tags
from fourview.dicom.codes import MODIFIER_CODES, VIEW_CODES, VIEW_WORDS
from fourview.dicom.elements import Elements
from fourview.entities import Side, View

MAGNIFIED = 1.4  # radiographic magnification: contact views have 1.0 to 1.1, magnified 1.5 to 2
_SIDES = {"R": "R", "RIGHT": "R", "L": "L", "LEFT": "L"}
_POSITIONS = "|".join(sorted((w for w in VIEW_WORDS if w.isalpha()), key=len, reverse=True))
_VIEW_IN_WORDS = re.compile(
    rf"(?<![A-Z])(?:(LEFT|RIGHT|L|R)[ _-]*)?({_POSITIONS})(?![A-Z])", re.IGNORECASE
)
_SIDE_IN_WORDS = re.compile(r"(?<![A-Z])(LEFT|RIGHT)(?![A-Z])", re.IGNORECASE)
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
class _Told:
    """One attribute's word on a question."""

    source: str
    value: str


def read_view(elements: Elements) -> ViewFacts:
    """Find side, position and modifiers."""
    notes: list[str] = []
    side = _first("side", list(_sides(elements, notes)), notes)
    position = _first("view", list(_positions(elements, notes)), notes)
    if side is None or position is None:
        hung = _from_orientation(elements)
        side, position = (
            told or _with_note(guess, notes)
            for told, guess in zip((side, position), hung, strict=True)
        )
    modifiers = _modifiers(elements, notes)
    if position is not None and position.value == "specimen":
        modifiers, position = modifiers | {"specimen"}, None
    sources = dict.fromkeys(told.source for told in (position, side) if told is not None)
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


def _sides(elements: Elements, notes: list[str]) -> Iterator[_Told]:
    told = [
        _Told("FrameLaterality", item.text(tags.FRAME_LATERALITY) or "")
        for item in functional_groups(elements, tags.FRAME_ANATOMY)
    ]
    told.append(_Told("ImageLaterality", elements.text(tags.IMAGE_LATERALITY) or ""))
    told.append(_Told("Laterality", elements.text(tags.LATERALITY) or ""))
    for word in told:
        if word.value.upper() in _SIDES:
            yield _Told(word.source, _SIDES[word.value.upper()])
        elif word.value:
            notes.append(f"{word.source} is '{_short(word.value)}', which is neither R nor L")
    yield from _in_words(elements, 0)


def _positions(elements: Elements, notes: list[str]) -> Iterator[_Told]:
    for item in _view_items(elements):
        code = _code(item)
        if code in VIEW_CODES:
            yield _Told("ViewCodeSequence", VIEW_CODES[code])
        elif code:
            notes.append(f"ViewCodeSequence has the code '{_short(code)}', which is no known view")
    word = (elements.text(tags.VIEW_POSITION) or "").upper()
    if word in VIEW_WORDS:
        yield _Told("ViewPosition", VIEW_WORDS[word])
    elif word:
        notes.append(f"ViewPosition is '{_short(word)}', which is no known view")
    orientation = (elements.text(tags.PATIENT_ORIENTATION) or "").upper()
    if orientation in VIEW_WORDS:  # CBIS-DDSM
        yield _Told("PatientOrientation", VIEW_WORDS[orientation])
    yield from _in_words(elements, 1)


def _in_words(elements: Elements, which: int) -> Iterator[_Told]:
    """Side (0) or position (1) from free text, where it names exactly one."""
    for source, tag in (
        ("SeriesDescription", tags.SERIES_DESCRIPTION),
        ("PatientID", tags.PATIENT_ID),
    ):
        text = elements.text(tag)
        if text is None:
            continue
        views = _VIEW_IN_WORDS.findall(text)
        if which:
            found = {VIEW_WORDS[position.upper()] for _, position in views}
        else:
            words = [side for side, _ in views if side] + _SIDE_IN_WORDS.findall(text)
            found = {_SIDES[word.upper()] for word in words}
        if len(found) == 1:
            yield _Told(source, found.pop())


def _from_orientation(elements: Elements) -> tuple[_Told | None, _Told | None]:
    """Side and position from the directions of rows and columns, as films are hung.

    The lateral half of a CC view is up, so its columns run to the left of a right breast; oblique
    views run to the feet and the same side (FL, FR). A file stored upside down would mislead.
    """
    directions = elements.texts(tags.PATIENT_ORIENTATION)
    if len(directions) != 2 or directions[0] not in ("A", "P"):
        return None, None
    down = directions[1]
    position = {"R": "CC", "L": "CC", "FR": "MLO", "FL": "MLO", "F": "ML"}.get(down)
    side = {"R": "L", "FR": "L", "L": "R", "FL": "R"}.get(down)
    source = "PatientOrientation"
    return (
        _Told(source, side) if side else None,
        _Told(source, position) if position else None,
    )


def _with_note(guess: _Told | None, notes: list[str]) -> _Told | None:
    if guess is not None:
        notes.append(f"{guess.value} was concluded from PatientOrientation alone")
    return guess


def _modifiers(elements: Elements, notes: list[str]) -> set[str]:
    codes = [
        _code(item)
        for holder in (*_view_items(elements), elements)
        for item in holder.items.get(tags.VIEW_MODIFIERS, [])
    ]
    found = {MODIFIER_CODES[code] for code in codes if code in MODIFIER_CODES}
    notes.extend(
        f"ViewModifierCodeSequence has the code '{_short(code)}', which is no known modifier"
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
            if word not in found:
                found.add(word)
                notes.append(f"{word} was concluded from {source} '{_short(text)}' alone")
    factor = elements.number(tags.MAGNIFICATION)
    if factor is not None and factor >= MAGNIFIED and "magnification" not in found:
        found.add("magnification")
        notes.append(f"magnification was concluded from a radiographic factor of {factor:g} alone")
    return found


def _view_items(elements: Elements) -> list[Elements]:
    return [
        *elements.items.get(tags.VIEW_CODES, []),
        *functional_groups(elements, tags.VIEW_CODES),
    ]


def _code(item: Elements) -> str:
    return item.text(tags.CODE_VALUE) or item.text(tags.LONG_CODE_VALUE) or ""


def _first(what: str, told: list[_Told], notes: list[str]) -> _Told | None:
    """The first word on a question; others that differ become a note."""
    if not told:
        return None
    others = [f"{t.source} says {t.value}" for t in told[1:] if t.value != told[0].value]
    if others:
        notes.append(
            f"{what}: {told[0].source} says {told[0].value}, {', '.join(others)}; "
            f"took {told[0].value}"
        )
    return told[0]


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
