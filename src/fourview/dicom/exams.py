"""Files -> Exams: which images belong together, and which of a slot comes first.

Exam:    a Study Instance UID and a patient id. One study with two patient ids is two exams: images
         of two women are never joined, and a note tells.
Slot:    several images of one side and view are all kept, the preferred one first, by the rule of
         ``entities.preference``; the order of files never matters.
Copies:  a second file of one SOP Instance UID is a duplicate only where it shows the same pixels.
         Different images that share one UID are all read, under ids of their own, with a note.
Archive: a ZIP file that is named itself is read like the folder in it; see ``archive``.
Left out: every file that is no image of its exam, with its reason. A file that cannot be read at
         all belongs to the exam of its folder where all files there are of one exam; the others
         come in a last exam without a name.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from fourview.dicom.archive import Root, unpacked
from fourview.dicom.header import Header
from fourview.dicom.identity import picture_key, shared_uid_note
from fourview.dicom.image import read_image
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.dicom.scan import left_out_for, scan
from fourview.entities import SLOTS, Exam, Image, LeftOut
from fourview.entities.preference import best_first
from fourview.entities.reasons import Reason
from fourview.errors import DicomError
from fourview.geometry import Size
from fourview.text import MOST_VALUE, printable

Paths = Path | str | Iterable[Path | str]
_PREFERENCE_SCHEMA: dict[str, Any] = {
    "place": pl.Int64,
    "image_id": pl.String,
    "kind": pl.String,
    "modifiers": pl.List(pl.String),
    "rows": pl.Int64,
    "cols": pl.Int64,
    "is_for_presentation": pl.Boolean,
    "acquired": pl.String,
}


def read_exams(
    paths: Paths,
    *,
    at_least: Size | None = None,
    for_processing: bool = False,
    workers: int = 1,
    pseudonyms: Pseudonyms | None = None,
) -> list[Exam]:
    """Read all exams among files and folders, pixels and all; no bad file stops it.

    See ``iter_exams`` for the arguments. The exams are in memory at once: for a large folder use
    ``iter_exams``, or a manifest.
    """
    return list(
        iter_exams(
            paths,
            at_least=at_least,
            for_processing=for_processing,
            workers=workers,
            pseudonyms=pseudonyms,
        )
    )


def iter_exams(
    paths: Paths,
    *,
    at_least: Size | None = None,
    for_processing: bool = False,
    workers: int = 1,
    pseudonyms: Pseudonyms | None = None,
) -> Iterator[Exam]:
    """Read exams one after the other; only the headers of all files are in memory.

    Args:
        paths: Files, folders, or one of them.
        at_least: Rows and columns that are enough; see ``read_image``.
        for_processing: Whether to read raw detector values too.
        workers: Threads that decode.
        pseudonyms: Replaces what tells whose the exams are; None keeps it. Paths stay.

    Yields:
        Exams by patient and exam id. Images stand by slot (R-CC, L-CC, R-MLO, L-MLO), then by
        view, and within a view the preferred one first. Files that could be assigned to no exam
        come last, in an exam with empty ids.
    """
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    with unpacked(map(Path, named)) as roots:
        # A file of an archive is gone afterwards, so it cannot be decoded again in full.
        enough = None if any(root.archive is not None for root in roots) else at_least
        yield from _exams(roots, enough, for_processing, workers, pseudonyms)


def _exams(
    roots: Sequence[Root],
    at_least: Size | None,
    for_processing: bool,
    workers: int,
    pseudonyms: Pseudonyms | None,
) -> Iterator[Exam]:
    drafts, orphans = _drafts(roots, for_processing, pseudonyms)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for key in sorted(drafts):
            draft = drafts[key]
            headers = display_order(draft.headers)

            def read(
                header: Header,
                shown: dict[str, str] = draft.shown,
                passing: set[str] = draft.passing,
            ) -> Image | LeftOut:
                try:
                    image = read_image(
                        header.path,
                        at_least=at_least,
                        for_processing=for_processing,
                        pseudonyms=pseudonyms,
                    )
                    return replace(
                        image,
                        image_id=header.image_id,
                        path=header.path if header.path not in passing else "",
                        notes=_joined(image.notes, header.notes),
                    )
                except DicomError as error:
                    safe = error if pseudonyms is None else pseudonyms.error(error)
                    out = left_out_for(safe, header.path, shown=shown[header.path])
                    return replace(out, image_id=header.image_id, file=header.path)

            results = list(pool.map(read, headers))
            failed = [result for result in results if isinstance(result, LeftOut)]
            yield Exam(
                patient_id=key[0],
                exam_id=key[1],
                images=tuple(result for result in results if isinstance(result, Image)),
                left_out=tuple(sorted((*draft.left_out, *failed), key=lambda out: out.path)),
                notes=tuple(draft.notes),
            )
    if orphans:
        yield Exam(patient_id="", exam_id="", images=(), left_out=tuple(orphans))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExam:
    """An exam whose headers have been read, and no pixels.

    Attributes:
        headers: Headers of the images that can be read, in the order of ``iter_exams``; ``path`` is
            the full path.
        left_out: Files of the exam that are no images of it.
    """

    patient_id: str
    exam_id: str
    headers: tuple[Header, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def list_exams(
    paths: Paths, *, for_processing: bool = False
) -> tuple[list[ListedExam], list[LeftOut]]:
    """The exams that ``iter_exams`` would read, and the files that belong to none of them."""
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    drafts, orphans = _drafts([Root(path=Path(path)) for path in named], for_processing, None)
    listed = [
        ListedExam(
            patient_id=key[0],
            exam_id=key[1],
            headers=tuple(display_order(drafts[key].headers)),
            left_out=tuple(sorted(drafts[key].left_out, key=lambda out: out.path)),
            notes=tuple(drafts[key].notes),
        )
        for key in sorted(drafts)
    ]
    return listed, orphans


def display_order(headers: Sequence[Header]) -> list[Header]:
    """Slots as they hang, then other views by name; within a view the preferred image first."""
    table = pl.DataFrame(
        [
            {
                "place": place,
                "image_id": header.image_id,
                "kind": header.kind,
                "modifiers": list(header.modifiers),
                "rows": header.rows,
                "cols": header.cols,
                "is_for_presentation": header.is_for_presentation,
                "acquired": header.acquired or None,
            }
            for place, header in enumerate(headers)
        ],
        schema=_PREFERENCE_SCHEMA,
    )
    ordered = [headers[place] for place in best_first(table)["place"]]
    return sorted(ordered, key=_hanging)


def _hanging(header: Header) -> tuple[int, str]:
    view = header.view
    slot = view.slot if view is not None else None
    return (len(SLOTS) if slot is None else slot), view.name if view is not None else ""


@dataclass(slots=True)
class _Draft:
    """An exam whose pixels have not been read."""

    headers: list[Header] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)  # path as the user named it, by full path
    passing: set[str] = field(default_factory=set)  # full paths that are gone when all is read


_Key = tuple[str, str]  # patient id, exam id


def _drafts(
    roots: Sequence[Root], for_processing: bool, pseudonyms: Pseudonyms | None
) -> tuple[dict[_Key, _Draft], list[LeftOut]]:
    drafts: dict[_Key, _Draft] = {}
    folders: dict[Path, set[_Key]] = {}
    unread: list[tuple[Path, LeftOut]] = []
    seen: dict[str, _Seen] = {}
    for root in roots:
        is_folder = root.path.is_dir()
        unread += [(root.path / out.path, out) for out in root.left_out]
        for result in scan(root.path, for_processing=for_processing, pseudonyms=pseudonyms):
            full = root.path / result.path if is_folder else root.path
            shown = root.shown(result.path) if is_folder else str(root.path)
            if isinstance(result, LeftOut):
                unread.append((full, replace(result, path=shown)))
                continue
            key = (result.patient_id, result.exam_id)
            folders.setdefault(full.parent, set()).add(key)
            draft = drafts.setdefault(key, _Draft())
            header = _named_apart(replace(result, path=str(full)), shown, seen, draft)
            out = _no_image(header, shown, seen)
            if out is None:
                draft.headers.append(header)
                draft.shown[str(full)] = shown
                if root.archive is not None:
                    draft.passing.add(str(full))
            else:
                draft.left_out.append(out)
    _tell_shared_studies(drafts)
    orphans = []
    for full, out in unread:
        keys = folders.get(full.parent, set())
        if len(keys) == 1:
            drafts[next(iter(keys))].left_out.append(out)
        else:
            orphans.append(out)
    return drafts, orphans


@dataclass(slots=True)
class _Seen:
    """The files that have one SOP Instance UID: what each shows, by its content."""

    first: Header
    keys: dict[str, str] = field(default_factory=dict)  # path, by what the file shows


def _named_apart(header: Header, shown: str, seen: dict[str, _Seen], draft: _Draft) -> Header:
    """The header; its image gets an id of its own where the UID already names another image."""
    if header.left_out is not None or header.image_id not in seen:
        return header
    known = seen[header.image_id]
    if not known.keys:
        known.keys[picture_key(known.first.path)] = known.first.path
    key = picture_key(header.path)
    if key in known.keys:
        return header
    known.keys[key] = header.path
    note = shared_uid_note(header.image_id)
    if note not in draft.notes:
        draft.notes.append(note)
    return replace(
        header,
        image_id=f"{header.image_id}#{shown}",
        notes=(*header.notes, note),
    )


def _no_image(header: Header, shown: str, seen: dict[str, _Seen]) -> LeftOut | None:
    """Why a header is no image of its exam; remembers the image id where it is one."""
    if header.left_out is not None:
        reason, detail = header.left_out, header.detail
    elif header.image_id in seen:
        reason = Reason.DUPLICATE
        detail = f"it has the SOP Instance UID of {seen[header.image_id].first.path}"
    else:
        seen[header.image_id] = _Seen(header)
        return None
    return LeftOut(path=shown, reason=reason, detail=detail, image_id=header.image_id)


def _joined(notes: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return (*notes, *(note for note in more if note not in notes))


def _tell_shared_studies(drafts: dict[_Key, _Draft]) -> None:
    patients: dict[str, list[str]] = {}
    for patient_id, exam_id in sorted(drafts):
        patients.setdefault(exam_id, []).append(patient_id)
    for (_, exam_id), draft in drafts.items():
        if len(patients[exam_id]) > 1:
            named = printable(", ".join(patients[exam_id]), MOST_VALUE)
            draft.notes.append(
                f"the study has {len(patients[exam_id])} patient ids ({named}); it was split by "
                "patient"
            )
