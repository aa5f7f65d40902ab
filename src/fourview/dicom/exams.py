"""Files -> Exams: which images belong together, and which of a slot comes first.

Exam:    a Study Instance UID and a patient id. One study with two patient ids is two exams: images
         of two women are never joined, and a note tells.
Slot:    several images of one side and view are all kept. First comes the one that is not
         implant-displaced, has no other modifier, is For Presentation, is no synthetic image, has
         the most pixels, was acquired last; at last the lower SOP Instance UID, so that the order
         of files never matters.
Left out: every file that is no image of its exam, with its reason. A file that cannot be read at
         all belongs to the exam of its folder where all files there are of one exam; the others
         come in a last exam without a name.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from fourview.dicom.header import Header
from fourview.dicom.image import read_image
from fourview.dicom.scan import left_out_for, scan
from fourview.entities import SLOTS, Exam, Image, LeftOut
from fourview.errors import DicomError
from fourview.geometry import Size

Paths = Path | str | Iterable[Path | str]


def read_exams(
    paths: Paths,
    *,
    at_least: Size | None = None,
    for_processing: bool = False,
    workers: int = 1,
) -> list[Exam]:
    """Read all exams among files and folders, pixels and all; no bad file stops it.

    See ``iter_exams`` for the arguments. The exams are in memory at once: for a large folder use
    ``iter_exams``, or a manifest.
    """
    return list(
        iter_exams(paths, at_least=at_least, for_processing=for_processing, workers=workers)
    )


def iter_exams(
    paths: Paths,
    *,
    at_least: Size | None = None,
    for_processing: bool = False,
    workers: int = 1,
) -> Iterator[Exam]:
    """Read exams one after the other; only the headers of all files are in memory.

    Args:
        paths: Files, folders, or one of them.
        at_least: Rows and columns that are enough; see ``read_image``.
        for_processing: Whether to read raw detector values too.
        workers: Threads that decode.

    Yields:
        Exams by patient and exam id. Images stand by slot (R-CC, L-CC, R-MLO, L-MLO), then by
        view, and within a view the preferred one first. Files that could be assigned to no exam
        come last, in an exam with empty ids.
    """
    drafts, orphans = _drafts(paths, for_processing=for_processing)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for key in sorted(drafts):
            draft = drafts[key]
            headers = sorted(draft.headers, key=display_order)

            def read(header: Header, shown: dict[str, str] = draft.shown) -> Image | LeftOut:
                try:
                    return read_image(header.path, at_least=at_least, for_processing=for_processing)
                except DicomError as error:
                    out = left_out_for(error, header.path, shown=shown[header.path])
                    return replace(out, image_id=header.image_id)

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
        headers: Of the images that can be read, as ``iter_exams`` orders images; ``path`` is whole.
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
    drafts, orphans = _drafts(paths, for_processing=for_processing)
    listed = [
        ListedExam(
            patient_id=key[0],
            exam_id=key[1],
            headers=tuple(sorted(drafts[key].headers, key=display_order)),
            left_out=tuple(sorted(drafts[key].left_out, key=lambda out: out.path)),
            notes=tuple(drafts[key].notes),
        )
        for key in sorted(drafts)
    ]
    return listed, orphans


def display_order(header: Header) -> tuple[int, str, tuple[bool, bool, bool, bool, int, int, str]]:
    """Sort key: slots as they hang, then other views by name, the preferred image first."""
    view = header.view
    slot = view.slot if view is not None else None
    name = view.name if view is not None else ""
    return (len(SLOTS) if slot is None else slot), name, preference(header)


def preference(header: Header) -> tuple[bool, bool, bool, bool, int, int, str]:
    """Sort key among images of one view: the smallest is preferred (the rule stands above)."""
    return (
        "implant_displaced" in header.modifiers,
        bool(header.modifiers),
        not header.is_for_presentation,
        header.kind == "synthetic",
        -(header.rows or 0) * (header.cols or 0),
        -int(header.acquired.ljust(14, "0")[:14] or 0),
        header.image_id,
    )


@dataclass(slots=True)
class _Draft:
    """An exam whose pixels have not been read."""

    headers: list[Header] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)  # path as the user named it, by full path


_Key = tuple[str, str]  # patient id, exam id


def _drafts(paths: Paths, *, for_processing: bool) -> tuple[dict[_Key, _Draft], list[LeftOut]]:
    drafts: dict[_Key, _Draft] = {}
    folders: dict[Path, set[_Key]] = {}
    unread: list[tuple[Path, LeftOut]] = []
    seen: dict[str, str] = {}
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    for root in map(Path, named):
        is_folder = root.is_dir()
        for found in scan(root, for_processing=for_processing):
            full = root / found.path if is_folder else root
            if isinstance(found, LeftOut):
                shown = found.path if is_folder else str(root)
                unread.append((full, replace(found, path=shown)))
                continue
            key = (found.patient_id, found.exam_id)
            folders.setdefault(full.parent, set()).add(key)
            draft = drafts.setdefault(key, _Draft())
            out = _no_image(found, full, seen)
            if out is None:
                draft.headers.append(replace(found, path=str(full)))
                draft.shown[str(full)] = found.path if is_folder else str(root)
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


def _no_image(header: Header, full: Path, seen: dict[str, str]) -> LeftOut | None:
    """Why a header is no image of its exam; remembers the image id where it is one."""
    if header.left_out is not None:
        reason, detail = header.left_out, header.detail
    elif header.image_id in seen:
        reason = "duplicate"
        detail = f"it has the SOP Instance UID of {seen[header.image_id]}"
    else:
        seen[header.image_id] = str(full)
        return None
    return LeftOut(path=header.path, reason=reason, detail=detail, image_id=header.image_id)


def _tell_shared_studies(drafts: dict[_Key, _Draft]) -> None:
    patients: dict[str, list[str]] = {}
    for patient_id, exam_id in sorted(drafts):
        patients.setdefault(exam_id, []).append(patient_id)
    for (_, exam_id), draft in drafts.items():
        if len(patients[exam_id]) > 1:
            draft.notes.append(
                f"the study has {len(patients[exam_id])} patient ids "
                f"({', '.join(patients[exam_id])}); it was split by patient"
            )
