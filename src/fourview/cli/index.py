"""``fourview index``: headers and label tables to a manifest."""

import inspect
import json as jsonlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import polars as pl
from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.jobs.executor import find_executor
from fourview.manifest.check import SHARED_UID
from fourview.manifest.image_labels import NatureRule, with_natures, with_stand_in_birads
from fourview.manifest.manifest import read_description, write_manifest
from fourview.manifest.select import screening_exams
from fourview.manifest.split import assign_rest, assign_split, split_by_list
from fourview.sources.find import find_source, find_writer
from fourview.suggest import no_such

PARTS = ("train", "validation", "test")


def index(
    root: Path,
    *,
    source: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    split: str | None = None,
    split_list: Path | None = None,
    seed: int = 0,
    screening: bool = False,
    image_birads: bool = False,
    finding_nature: Annotated[NatureRule | None, Parameter(show_choices=True)] = None,
    label_rule: str = "",
    pseudonyms: Path | None = None,
    workers: Some = 2,
    executor: str = "local",
    module: Modules = (),
    json: bool = False,
) -> None:
    """Turn a data set into a manifest: four tables with one meaning for every set.

    If it is stopped while it reads headers, the same command goes on: what was read so far lies
    beside the manifest until that is written.

    Args:
        root: Folder of the data set.
        source: Name of its reader, as ``fourview list sources`` shows; dicom for any folder.
        out: Folder of the manifest.
        split: Shares of the patients for train, validation, test, such as 0.8,0.1,0.1; stratified.
            Without it the data set's own split is kept, if it has one.
        split_list: A paper's list: a table with patient_id, exam_id or image_id (or a file's name),
            and split; without that column all that are listed are the test. All of a patient is in
            one part. Patients that are not listed have no split, as ``fourview check`` says, or are
            divided by --split.
        seed: Seed of the split.
        screening: Keep screening exams alone, as the data set calls them (EMBED by the exam's
            description); GLAM is trained on these.
        image_birads: Give every image a BI-RADS that its boxed findings stand in for (5, 2 or 1),
            for data without assessments whose findings are all known, such as phantoms.
        finding_nature: For data without biopsies, such as INbreast and VinDr: take findings for
            malignant (BI-RADS 4 to 6) or benign (2 and 3) by their own category or their image's,
            so that marks on them can be counted. birads-without-3 leaves 3 unknown, as Cls-Det-RS
            does. The manifest and every result say so.
        label_rule: For source embed: mama takes the rows of the other breast where a breast has
            none, as MaMA's code does, to compare with its numbers; without it they never count for
            a breast.
        pseudonyms: For source dicom: file with a secret key of 16 bytes or more. Ids are replaced
            by what it makes of them, dates are shifted, and nothing else is kept that could tell
            who the patient is, except paths. The same key gives the same pseudonyms.
        workers: Processes that read headers, where the source reads any.
        executor: Where they run: local, or ray (the cluster in RAY_ADDRESS, else one started here).
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the summary as JSON.
    """
    use_modules(module)
    if split is None:
        refuse_unused(index, needs="--split", seed=seed)
    if "executor" not in inspect.signature(find_source(source)).parameters:
        refuse_unused(index, needs="a source that reads headers", executor=executor)
    work = out.absolute().parent / f".{out.name}.index"
    with progress_bar(quiet=json) as update:
        options = {
            "executor": find_executor(executor, workers),
            "work": work,
            "progress": lambda done, of: update("reading headers", done, of),
            **_rule(source, label_rule),
            **_pseudonyms(source, pseudonyms),
        }
        changes = _Changes(
            split=split,
            split_list=split_list,
            seed=seed,
            screening=screening,
            image_birads=image_birads,
            nature=finding_nature,
        )
        digest = _write(root.absolute(), source, out, options, changes)
    shutil.rmtree(work, ignore_errors=True)
    summary = {"manifest": str(out), "hash": digest, **_counts(out)}
    if json:
        print(jsonlib.dumps(summary))
        return
    say(
        f"{summary['patients']} patients, {summary['exams']} exams, {summary['images']} images, "
        f"{summary['findings']} findings in {out}"
    )
    for reason, count in summary["left_out_by_reason"].items():
        say(f"left out: {count} {reason}")
    if summary["shared_uids"]:
        say(
            f"note: {summary['shared_uids']} images have the SOP Instance UID of another, "
            "different image; each was kept, under an id of its own"
        )


@dataclass(frozen=True, slots=True)
class _Changes:
    """What is made of a source's manifest."""

    split: str | None
    split_list: Path | None
    seed: int
    screening: bool
    image_birads: bool
    nature: NatureRule | None

    @property
    def is_any(self) -> bool:
        """Whether there is something to do."""
        asked = (self.split, self.split_list, self.nature)
        return self.image_birads or self.screening or any(each is not None for each in asked)

    def made(self, manifest: Manifest) -> Manifest:
        """The manifest with the changes that were asked for."""
        if self.screening:
            manifest = screening_exams(manifest)
        if self.image_birads:
            manifest = with_stand_in_birads(manifest)
        if self.nature is not None:
            manifest = with_natures(manifest, self.nature)
        if self.split_list is not None:
            from fourview.study.split_list import read_split_list  # noqa: PLC0415 - seldom asked

            manifest = split_by_list(manifest, read_split_list(self.split_list, manifest))
        if self.split is not None:
            divide = assign_split if self.split_list is None else assign_rest
            manifest = divide(manifest, _shares(self.split), self.seed)
        return manifest


def _write(root: Path, source: str, out: Path, options: dict[str, Any], changes: _Changes) -> str:
    """Write the manifest, in flat memory where the source can and nothing is to be changed."""
    write = find_writer(source)
    if write is not None and not changes.is_any:
        return write(root, out, **_known(options, write))
    read = find_source(source)
    return write_manifest(changes.made(read(root, **_known(options, read))), out)


def _rule(source: str, name: str) -> dict[str, str]:
    """The label rule as an option of the reader, where one is asked for.

    Raises:
        ManifestError: The source has no such rule.
    """
    if not name:
        return {}
    parameter = inspect.signature(find_source(source)).parameters.get("label_rule")
    there_are = get_args(parameter.annotation) if parameter is not None else ()
    if name not in there_are:
        message = no_such("label rule", name, there_are or ("none but its own",))
        raise ManifestError(f"source '{source}': {message}")
    return {"label_rule": name}


def _pseudonyms(source: str, key: Path | None) -> dict[str, Pseudonyms]:
    """The pseudonyms as an option of the reader, where a key is named.

    Raises:
        ManifestError: The source has its ids from tables.
        FourviewError: The file is no key.
    """
    if key is None:
        return {}
    if "pseudonyms" not in inspect.signature(find_source(source)).parameters:
        raise ManifestError(
            f"--pseudonyms: source '{source}' has its ids from tables, which name them as they are "
            "named in its files; only dicom reads them from headers"
        )
    return {"pseudonyms": Pseudonyms.read(key)}


def _known(options: dict[str, Any], function: Callable[..., object]) -> dict[str, Any]:
    names = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in names}


def _counts(path: Path) -> dict[str, Any]:
    """What a manifest's folder holds, counted without its tables in memory."""
    about = read_description(path)
    patients = pl.scan_parquet(path / "exams.parquet").select(pl.col("patient_id").n_unique())
    left_out = pl.scan_parquet(path / "images.parquet").select(pl.col("left_out").drop_nulls())
    by_reason = left_out.group_by("left_out").len().sort("left_out").collect(engine="streaming")
    return {
        "patients": patients.collect(engine="streaming").item(),
        "exams": about["rows"]["exams"],
        "images": about["rows"]["images"],
        "left_out": int(by_reason["len"].sum()),
        "left_out_by_reason": dict(by_reason.rows()),
        "findings": about["rows"]["findings"],
        "shared_uids": _shared_uids(path),
        "terms": about["terms"],
    }


def _shared_uids(path: Path) -> int:
    """Images that have the UID of another one, as their notes say."""
    images = pl.scan_parquet(path / "images.parquet")
    if images.collect_schema().get("notes") != pl.List(pl.String):
        return 0
    shared = pl.col("notes").list.eval(pl.element().str.contains(SHARED_UID)).list.any()
    return int(images.select(shared.fill_null(False).sum()).collect(engine="streaming").item())


def _shares(text: str) -> dict[str, float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != len(PARTS):
        raise ManifestError(f"--split {text}: need three shares that sum to 1, such as 0.8,0.1,0.1")
    return dict(zip(PARTS, shares, strict=True))
