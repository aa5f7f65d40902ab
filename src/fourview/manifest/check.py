"""Everything that is wrong with a manifest, at once; reading one stops at the first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from fourview.entities import Manifest
from fourview.manifest.manifest import (
    images_to_read,
    images_with_labels,
    manifest_hash,
    read_manifest,
    stored_hash,
)
from fourview.manifest.rules import faults

SHARED_UID = "several different images"  # in the notes of an image whose UID is another's too
NAMED = 3  # examples in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, or that a person should know.

    Attributes:
        kind: schema, hash, files, leak, labels, ids, split.
        level: An error makes the check fail; a note does not.
        count: Rows, files or patients that have it.
        text: What was found, with examples, and what to do.
    """

    kind: Literal["schema", "hash", "files", "leak", "labels", "ids", "split"]
    level: Literal["error", "note"]
    count: int
    text: str


def check_folder(path: Path, *, files: bool = True) -> list[Problem]:
    """Check the manifest in a folder: all of ``check_manifest``, and that its hash is right.

    Raises:
        ManifestError: The folder holds no manifest that can be read at all.
    """
    manifest = read_manifest(path, validate=False)
    problems = check_manifest(manifest, files=files)
    if stored_hash(path) != manifest_hash(manifest):
        text = f"{path}: the tables are not those that manifest.json was written for; index again"
        problems.insert(0, Problem(kind="hash", level="error", count=1, text=text))
    return problems


def check_manifest(manifest: Manifest, *, files: bool) -> list[Problem]:
    """Rules of the tables, files, patients on both sides of a split, and labels.

    Args:
        manifest: Need not be valid.
        files: Also look for each image's file under the root.

    Returns:
        Errors first; nothing for a good manifest without remarks.
    """
    problems = [
        Problem(kind="schema", level="error", count=fault.rows, text=fault.text)
        for fault in faults(manifest)
    ]
    problems += [*_leaks(manifest), *_unassigned(manifest)]
    problems += [*_labels(manifest), *_shared_ids(manifest)]
    if files:
        problems += _files(manifest)
    return sorted(problems, key=lambda problem: problem.level != "error")


def label_counts(manifest: Manifest) -> pl.DataFrame:
    """Images to read, breasts, exams and patients by split, and breasts by cancer label."""
    images = images_with_labels(manifest)
    breast = pl.struct("exam_id", "side")
    return (
        images.group_by("split")
        .agg(
            patients=pl.col("patient_id").n_unique(),
            exams=pl.col("exam_id").n_unique(),
            images=pl.len(),
            breasts=breast.n_unique(),
            cancer=breast.filter(pl.col("cancer") == 1).n_unique(),
            no_cancer=breast.filter(pl.col("cancer") == 0).n_unique(),
            unknown=breast.filter(pl.col("cancer").is_null()).n_unique(),
        )
        .sort("split", nulls_last=True)
    )


def _leaks(manifest: Manifest) -> Iterator[Problem]:
    """Patients in two splits; published splits that leak are told but not held against us."""
    placed = manifest.exams.select("patient_id", "split").drop_nulls()
    torn = _torn(placed)
    if len(torn):
        text = f"{len(torn)} patients are in more than one split ({_some(torn)}); split by patient"
        yield Problem(kind="leak", level="error", count=len(torn), text=text)
    for name in ("images", "findings"):
        table: pl.DataFrame = getattr(manifest, name)
        if "published_split" not in table.columns:
            continue
        torn = _torn(table.select("patient_id", split="published_split").drop_nulls())
        if len(torn):
            text = (
                f"{len(torn)} patients are on both sides of the published split of {name} "
                f"({_some(torn)}); exams.split puts each on one side"
            )
            yield Problem(kind="leak", level="note", count=len(torn), text=text)
            return


def _unassigned(manifest: Manifest) -> Iterator[Problem]:
    """Patients without a split where others have one, as a list leaves them."""
    whose = manifest.exams.group_by("patient_id").agg(pl.col("split").drop_nulls().first())
    left = sorted(whose.filter(pl.col("split").is_null())["patient_id"].to_list())
    if 0 < len(left) < len(whose):
        text = (
            f"{len(left)} of {len(whose)} patients have no split ({_some(left)}): no run trains on "
            "them and no part has them; index with --split beside --split-list to divide the rest"
        )
        yield Problem(kind="split", level="note", count=len(left), text=text)


def _torn(placed: pl.DataFrame) -> list[str]:
    """Patients with two values of ``split``, sorted; a row that is in both says so itself."""
    sides = placed.group_by("patient_id").agg(
        pl.col("split").n_unique().alias("n"), (pl.col("split") == "both").any().alias("both")
    )
    return sorted(sides.filter((pl.col("n") > 1) | pl.col("both"))["patient_id"].to_list())


def _labels(manifest: Manifest) -> Iterator[Problem]:
    """Nothing to read, no label, or one class only, over all and in each split."""
    if images_to_read(manifest).is_empty():
        yield Problem(kind="labels", level="error", count=0, text="no image is to be read")
        return
    splits = manifest.exams.select("exam_id", "split")
    seen = images_to_read(manifest).select("exam_id", "side").unique()
    breasts = manifest.breasts.select("exam_id", "side", "cancer")
    labelled = breasts.join(seen, on=["exam_id", "side"], how="semi").join(splits, on="exam_id")
    known = labelled.drop_nulls("cancer")
    if known.is_empty():
        text = "cancer is unknown for every breast"
        yield Problem(kind="labels", level="note", count=len(labelled), text=text)
        return
    groups = [("the manifest", known)] if known["split"].is_null().all() else []
    groups += [
        (f"split {name}", known.filter(pl.col("split") == name))
        for name in known["split"].drop_nulls().unique().sort()
    ]
    for where, group in groups:
        if group["cancer"].n_unique() == 1:
            only = group["cancer"][0]
            text = (
                f"cancer is {only} for all {len(group)} labelled breasts of {where}: one class only"
            )
            yield Problem(kind="labels", level="note", count=len(group), text=text)


def _shared_ids(manifest: Manifest) -> Iterator[Problem]:
    """Different images that had one SOP Instance UID."""
    if manifest.images.schema.get("notes") != pl.List(pl.String):
        return
    shared = pl.col("notes").list.eval(pl.element().str.contains(SHARED_UID)).list.any()
    rows = manifest.images.filter(shared.fill_null(False))
    if len(rows):
        text = (
            f"{len(rows)} images have the SOP Instance UID of another, different image "
            f"({_some(rows['image_id'].to_list())}); each has an id of its own, its UID and #path"
        )
        yield Problem(kind="ids", level="note", count=len(rows), text=text)


def _files(manifest: Manifest) -> Iterator[Problem]:
    """Files that are to be read and are not there; one look at each folder, not at each file."""
    paths = images_to_read(manifest)["path"].drop_nulls().unique(maintain_order=True).to_list()
    root = Path(manifest.root)
    listed: dict[str, set[str]] = {}
    missing = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in listed:
            listed[folder] = _names_in(root / folder)
        if name not in listed[folder]:
            missing.append(path)
    if missing:
        text = (
            f"{len(missing)} of {len(paths)} files are not under {root} ({_some(missing)}); "
            "give the root of the data set, or fetch them"
        )
        yield Problem(kind="files", level="error", count=len(missing), text=text)


def _names_in(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError:
        return set()


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
