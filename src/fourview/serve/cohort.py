"""Where the exams of the reading room come from, behind one protocol.

Folders:   DICOM files; headers are read at the start, pixels when an exam is looked at.
Manifest:  any data set; side, view and ids are the manifest's, and labels are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import polars as pl

from fourview.dicom.exams import list_exams
from fourview.dicom.header import Header
from fourview.dicom.image import read_image
from fourview.entities import Finding, Image, LeftOut, Manifest, Region, View
from fourview.errors import ExamError, ServeError
from fourview.geometry import Box
from fourview.preprocess.spec import PixelSpec
from fourview.store.read_image import read_listed_image

WHOLE = PixelSpec(name="as stored", rows=None, cols=None)  # decodes all there is
ExamId = tuple[str, str]  # patient, exam


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """An image that can be asked for.

    Attributes:
        view: None where neither header nor manifest tells side and view.
        rows: As stored; None where the image must be read to know.
        cols: The same.
        date: Of the study, YYYYMMDD; "" where unknown.
        voi: "ignore" or "header" where the manifest overrides how it is displayed.
    """

    image_id: str
    view: View | None
    rows: int | None
    cols: int | None
    spacing_mm: tuple[float, float] | None
    date: str = ""
    voi: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExam:
    """An exam that can be asked for; ``images`` as they hang, the preferred one of a slot first."""

    patient_id: str
    exam_id: str
    images: tuple[ListedImage, ...]
    date: str = ""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class Cohort(Protocol):
    """What the room needs of a source of exams."""

    name: str
    manifest: Manifest | None

    def exams(self) -> pl.DataFrame:
        """One row per exam: patient_id, exam_id, date, num_images, notes; in order."""

    def exam(self, which: ExamId) -> ListedExam:
        """One exam.

        Raises:
            ServeError: There is no such exam.
        """

    def read(self, image_id: str) -> Image:
        """One image, whole.

        Raises:
            DicomError: It cannot be read.
            PixelError: The same, of a picture file.
        """

    def files(self, which: ExamId) -> list[tuple[Path, Mapping[str, Any] | None]]:
        """Paths of an exam's images, with the manifest's row where there is one."""

    def known_findings(self, which: ExamId) -> tuple[Finding, ...]:
        """Findings that the data set has."""

    def labels(self, which: ExamId) -> dict[str, dict[str, Any]] | None:
        """cancer, birads and density of each side; None where nothing is known of any."""


EXAM_COLUMNS = {
    "patient_id": pl.String,
    "exam_id": pl.String,
    "date": pl.String,
    "num_images": pl.Int32,
    "notes": pl.Int32,
}


class FolderCohort:
    """Exams among DICOM files and folders.

    Raises:
        ExamError: There is no mammogram at all; the message has the first reasons.
    """

    manifest: Manifest | None = None

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(path.name or str(path) for path in paths[:3])
        listed, orphans = list_exams(list(paths))
        self._exams = {(e.patient_id, e.exam_id): e for e in listed if e.headers}
        if not self._exams:
            unread = [out for e in listed for out in e.left_out] + orphans
            reasons = "; ".join(f"{f.path}: {f.detail}" for f in unread[:3]) or "no files"
            raise ExamError(f"no mammogram to show ({reasons}); name files or folders of DICOM")
        self._headers = {h.image_id: h for e in self._exams.values() for h in e.headers}
        self.left_out = tuple(orphans)

    def exams(self) -> pl.DataFrame:
        """See ``Cohort``."""
        rows = [
            {
                "patient_id": exam.patient_id,
                "exam_id": exam.exam_id,
                "date": _date(exam.headers),
                "num_images": len(exam.headers),
                "notes": len(exam.notes) + len(exam.left_out),
            }
            for exam in self._exams.values()
        ]
        return pl.DataFrame(rows, schema=EXAM_COLUMNS)

    def exam(self, which: ExamId) -> ListedExam:
        """See ``Cohort``."""
        if which not in self._exams:
            raise ServeError("no such exam here; open the worklist again")
        exam = self._exams[which]
        return ListedExam(
            patient_id=exam.patient_id,
            exam_id=exam.exam_id,
            images=tuple(_listed(header) for header in exam.headers),
            date=_date(exam.headers),
            left_out=exam.left_out,
            notes=exam.notes,
        )

    def read(self, image_id: str) -> Image:
        """See ``Cohort``."""
        return read_image(self._headers[image_id].path)

    def files(self, which: ExamId) -> list[tuple[Path, Mapping[str, Any] | None]]:
        """See ``Cohort``."""
        return [(Path(header.path), None) for header in self._exams[which].headers]

    def known_findings(self, which: ExamId) -> tuple[Finding, ...]:  # noqa: ARG002 (a folder knows none)
        """See ``Cohort``."""
        return ()

    def labels(self, which: ExamId) -> None:
        """See ``Cohort``; a folder knows none."""


class ManifestCohort:
    """The exams of a manifest, in its order.

    Raises:
        ServeError: No image of it is to be read.
    """

    manifest: Manifest | None

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = self._tables = manifest
        self.name = manifest.source
        self._images = manifest.images.filter(pl.col("left_out").is_null())
        if self._images.is_empty():
            raise ServeError(f"the manifest of {manifest.source} has no image to read")
        self._place = {name: n for n, name in enumerate(self._images["image_id"].to_list())}

    def exams(self) -> pl.DataFrame:
        """See ``Cohort``."""
        images = self._tables.images
        dates = (
            pl.col("study_date").cast(pl.String) if "study_date" in images.columns else pl.lit("")
        )
        counted = images.group_by("patient_id", "exam_id").agg(
            date=dates.first().fill_null(""),
            num_images=pl.col("left_out").is_null().sum().cast(pl.Int32),
            notes=pl.col("left_out").is_not_null().sum().cast(pl.Int32),
        )
        keys = self._tables.exams.select("patient_id", "exam_id")
        joined = keys.join(
            counted, on=["patient_id", "exam_id"], how="inner", maintain_order="left"
        )
        return joined.filter(pl.col("num_images") > 0).select(list(EXAM_COLUMNS))

    def exam(self, which: ExamId) -> ListedExam:
        """See ``Cohort``."""
        rows = self._rows(which)
        if not rows:
            raise ServeError("no such exam here; open the worklist again")
        left_out = self._tables.images.filter(
            (pl.col("exam_id") == which[1]) & pl.col("left_out").is_not_null()
        )
        return ListedExam(
            patient_id=which[0],
            exam_id=which[1],
            images=tuple(sorted((_from_row(row) for row in rows), key=_as_hung)),
            date=str(rows[0].get("study_date") or ""),
            left_out=tuple(
                LeftOut(path=str(r["path"]), reason=r["left_out"], detail=r["left_out"])
                for r in left_out.iter_rows(named=True)
            ),
        )

    def read(self, image_id: str) -> Image:
        """See ``Cohort``."""
        row = self._images.row(self._place[image_id], named=True)
        return read_listed_image(Path(self._tables.root) / row["path"], row, WHOLE)

    def files(self, which: ExamId) -> list[tuple[Path, Mapping[str, Any] | None]]:
        """See ``Cohort``."""
        return [(Path(self._tables.root) / row["path"], row) for row in self._rows(which)]

    def known_findings(self, which: ExamId) -> tuple[Finding, ...]:
        """See ``Cohort``."""
        rows = self._tables.findings.filter(
            (pl.col("exam_id") == which[1]) & (pl.col("patient_id") == which[0])
        )
        findings: dict[str, Finding] = {}
        for row in rows.iter_rows(named=True):
            regions = _regions(row)
            known = findings.get(row["finding_id"])
            if known is not None:
                findings[row["finding_id"]] = replace(known, regions=(*known.regions, *regions))
            elif row["side"] in ("R", "L"):
                findings[row["finding_id"]] = Finding(
                    finding_id=row["finding_id"],
                    side=row["side"],
                    regions=regions,
                    kind=row["kind"] or "finding",
                    malignant=None if row["malignant"] is None else bool(row["malignant"]),
                    source=self._tables.source,
                )
        return tuple(findings.values())

    def labels(self, which: ExamId) -> dict[str, dict[str, Any]] | None:
        """See ``Cohort``."""
        rows = self._tables.breasts.filter(
            (pl.col("exam_id") == which[1]) & (pl.col("patient_id") == which[0])
        )
        known = ("cancer", "birads", "density")
        return {row["side"]: {k: row[k] for k in known} for row in rows.iter_rows(named=True)}

    def _rows(self, which: ExamId) -> list[dict[str, Any]]:
        mine = (pl.col("patient_id") == which[0]) & (pl.col("exam_id") == which[1])
        return self._images.filter(mine).to_dicts()


def _regions(row: Mapping[str, Any]) -> tuple[Region, ...]:
    """The region of a row of findings; none where it has no box in the stored frame."""
    unknown_frame = row["frame"] not in (None, "stored")
    if row["image_id"] is None or row["x0"] is None or unknown_frame:
        return ()
    flat = row["polygon"] or ()
    points = tuple((float(x), float(y)) for x, y in zip(flat[::2], flat[1::2], strict=False))
    box = Box(row["x0"], row["y0"], row["x1"], row["y1"])
    return (Region(image_id=row["image_id"], box=box, polygon=points or None),)


def _listed(header: Header) -> ListedImage:
    return ListedImage(
        image_id=header.image_id,
        view=header.view,
        rows=header.rows,
        cols=header.cols,
        spacing_mm=header.spacing_mm,
        date=header.metadata.get("study_date", ""),
    )


def _from_row(row: Mapping[str, Any]) -> ListedImage:
    view = None
    if row["side"] in ("R", "L") and row["view"] is not None:
        modifiers = tuple(sorted(row["modifiers"] or ()))
        view = View(side=row["side"], position=row["view"], modifiers=modifiers, source="manifest")
    spacing = row["spacing_mm"]
    return ListedImage(
        image_id=row["image_id"],
        view=view,
        rows=row["rows"],
        cols=row["cols"],
        spacing_mm=None if spacing is None else (spacing, spacing),
        date=str(row.get("study_date") or ""),
        voi=row["voi"],
    )


def _as_hung(image: ListedImage) -> tuple[int, str, bool, int, str]:
    """Slots first; within one the plain image before spot views, the larger before the smaller."""
    view = image.view
    slot = 4 if view is None or view.slot is None else view.slot  # 4: after the four slots
    name = "" if view is None else view.name
    has_modifiers = bool(view and view.modifiers)
    return slot, name, has_modifiers, -(image.rows or 0) * (image.cols or 0), image.image_id


def _date(headers: Sequence[Header]) -> str:
    return next((h.metadata["study_date"] for h in headers if "study_date" in h.metadata), "")
