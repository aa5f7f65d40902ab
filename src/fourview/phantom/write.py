"""Write phantom exams as DICOM files with their truth tables; parallel and resumable.

Writes: OUT/phantom.json                    what the exams are made of, so that a run can go on
        OUT/dicom/PATIENT/R-CC.dcm ...      four files per exam
        OUT/truth/parts/000012.json         one exam's truth, written after its files
        OUT/truth/{exams,breasts,images,findings}.parquet   all of them together, at the end
Every exam depends on the run's seed and its own number only: any number of workers, and any number
of interruptions, give the same bytes.
"""

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourview.disk import write_bytes, write_table
from fourview.errors import PhantomError
from fourview.json_file import read_json_object
from fourview.phantom.encode import syntax_of
from fourview.phantom.exam import make_exam
from fourview.phantom.film_draws import FilmKind
from fourview.phantom.preset import Preset, preset_of
from fourview.phantom.streams import stream
from fourview.phantom.tables import SCHEMAS, frame_of, rows_of
from fourview.phantom.to_dicom import dicom_bytes
from fourview.phantom.vendor import detector_of, vendor_of

DEFAULT_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit little endian
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
)
FILM_VENDORS: dict[str, FilmKind] = {"film": "usual", "odd-film": "odd"}
FORMAT = 1  # raised when the same settings would give other exams than before


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSummary:
    """What a run wrote.

    Attributes:
        out: The folder: ``dicom/`` and ``truth/`` below it.
        num_exams: Exams in the folder now.
        num_written: Exams made by this run; the others were there already.
        num_images: DICOM files in the folder now.
        num_cancers: Breasts with a malignant finding.
    """

    out: Path
    num_exams: int
    num_written: int
    num_images: int
    num_cancers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What decides the bytes of a run."""

    out: Path
    seed: int
    preset: Preset
    rows: int | None
    vendors: tuple[str, ...]
    syntaxes: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """Plain values as written to phantom.json."""
        return {
            "format": FORMAT,
            "seed": self.seed,
            "preset": json.loads(json.dumps(self.preset.settings)),
            "rows": self.rows,
            "vendors": list(self.vendors),
            "syntaxes": list(self.syntaxes),
        }

    def part(self, index: int) -> Path:
        """The file of one exam's truth."""
        return self.out / "truth" / "parts" / f"{index:06d}.json"


def write_phantom(
    out: Path | str,
    *,
    num_exams: int,
    seed: int,
    preset: str | Preset = "screening",
    rows: int | None = None,
    vendors: Sequence[str] = ("A", "B", "C"),
    syntaxes: Sequence[str] = DEFAULT_SYNTAXES,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PhantomSummary:
    """Write exams 0 to ``num_exams - 1`` of a seed below ``out``.

    Exams that are there already are kept; asking for more adds to them.

    Args:
        out: Folder; made where it is missing.
        num_exams: Number of exams that there shall be.
        seed: Seed of the run, at least 0; each exam has a seed of its own made of it.
        preset: What the exams are like, or the name of a preset.
        rows: See ``make_exam``.
        vendors: Fictional vendors, taken in turn: A, B and C, or film and odd-film for the views
            on scanned film of either kind (``film_draws``).
        syntaxes: Transfer Syntax UIDs, taken in turn; all of ``encode.SYNTAXES`` can be written.
        workers: Processes; 1 works in this one.
        progress: Called with exams done and exams wanted, whenever one is done.

    Raises:
        PhantomError: An unknown preset, vendor or syntax, or a folder with exams of another kind.
    """
    run = _Run(
        out=Path(out),
        seed=seed,
        preset=preset_of(preset),
        rows=rows,
        vendors=tuple(vendors),
        syntaxes=tuple(syntaxes),
    )
    _check(run, num_exams)
    _claim_folder(run)
    missing = [i for i in range(num_exams) if not run.part(i).exists()]
    done = num_exams - len(missing)
    if progress is not None:
        progress(done, num_exams)
    for _ in _written(run, missing, workers):
        done += 1
        if progress is not None:
            progress(done, num_exams)
    return _join_tables(run, len(missing))


def exam_seed(seed: int, index: int) -> int:
    """The seed of one exam of a run."""
    return int(stream(seed, "exam", index).integers(2**62))


def _check(run: _Run, num_exams: int) -> None:
    """Refuse what cannot be written before anything is."""
    if num_exams < 1:
        raise PhantomError(f"num_exams is {num_exams}, need at least 1")
    if run.seed < 0:
        raise PhantomError(f"seed is {run.seed}, need at least 0")
    if not run.vendors or not run.syntaxes:
        raise PhantomError("need at least one vendor and one transfer syntax")
    for name in run.vendors:
        if name not in FILM_VENDORS:
            detector_of(vendor_of(name), run.rows)
    for uid in run.syntaxes:
        syntax_of(uid)


def _claim_folder(run: _Run) -> None:
    """Make the folder, or make sure that it holds exams of the same settings."""
    path = run.out / "phantom.json"
    if path.exists():
        try:
            settings = read_json_object(path)
        except ValueError as error:
            raise PhantomError(f"{path}: damaged ({error}); name another folder") from error
        other = [k for k, v in run.settings().items() if settings.get(k) != v]
        if other:
            raise PhantomError(
                f"{run.out}: holds phantom exams with another {', '.join(other)}; "
                "give the same settings to go on, or another folder"
            )
    (run.out / "truth" / "parts").mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(run.settings(), indent=1).encode())


def _written(run: _Run, indices: Sequence[int], workers: int) -> Any:
    """Write exams, one after another or in processes, and yield as they are done."""
    if workers <= 1 or len(indices) <= 1:
        for index in indices:
            yield _write_exam(run, index)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with threads may hang it
    pool = ProcessPoolExecutor(min(workers, len(indices)), mp_context=context)
    try:
        futures = [pool.submit(_write_exam, run, index) for index in indices]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _write_exam(run: _Run, index: int) -> int:
    """Make one exam, write its files, then its truth."""
    num_syntaxes = len(run.syntaxes)
    syntax = run.syntaxes[index % num_syntaxes]
    vendor = run.vendors[(index + index // num_syntaxes) % len(run.vendors)]  # all pairs in turn
    film = FILM_VENDORS.get(vendor)
    exam = make_exam(
        exam_seed(run.seed, index),
        run.preset,
        vendor="A" if film else vendor,
        rows=run.rows,
        patient_id=f"phantom-{run.seed}-{index:06d}",
        film=film,
    )
    folder = run.out / "dicom" / exam.patient_id
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for image in exam.images:
        path = folder / f"{image.name}.dcm"
        write_bytes(path, dicom_bytes(exam, image, syntax))
        paths[image.image_id] = path.relative_to(run.out).as_posix()
    tables = rows_of(exam, syntax=syntax, bits=syntax_of(syntax).bits, paths=paths)
    write_bytes(run.part(index), json.dumps(tables).encode())
    return index


def _join_tables(run: _Run, num_written: int) -> PhantomSummary:
    """Put all exams' truth, also of earlier and larger runs, into the four tables."""
    parts = [
        json.loads(p.read_text()) for p in sorted((run.out / "truth" / "parts").glob("*.json"))
    ]
    frames = {t: frame_of(t, [row for part in parts for row in part[t]]) for t in SCHEMAS}
    for table, frame in frames.items():
        path = run.out / "truth" / f"{table}.parquet"
        write_table(frame, path)
    return PhantomSummary(
        out=run.out,
        num_exams=len(parts),
        num_written=num_written,
        num_images=frames["images"].height,
        num_cancers=int(frames["breasts"]["cancer"].sum()),
    )
