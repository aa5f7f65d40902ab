"""A page of what models see: images of a manifest or a store, with outline, boxes, label and score.

Each tile is the processed image that a network reads, 8 bits, with the outline of its mask, the
regions that are known (solid) and those that a model marks (dashed), its label and its score. The
page sorts and filters them; the worst errors and the hits of a search come first.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from jaxtyping import UInt16

import fourview
from fourview.disk import write_text
from fourview.entities import Manifest
from fourview.entities.labels import with_labels
from fourview.errors import FourviewError, ReportError
from fourview.geometry import Box, Geometry
from fourview.jobs.executor import Executor
from fourview.jobs.schedule import Lost
from fourview.manifest.manifest import images_to_read
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.preprocess.spec import PixelSpec
from fourview.preprocess.window import MAX_LEVEL
from fourview.report.display import data_uri
from fourview.report.page import render
from fourview.store.read_image import read_processed
from fourview.store.store import Store

TILE_ROWS = 260  # of a picture
NUM_WORST = 12  # of each kind
NUM_MARKS = 5  # of a model on an image, best first
TIMEOUT_S = 120.0
WORST = ("Highest scores without the label", "Lowest scores with the label")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOptions:
    """What a page of images shows.

    Attributes:
        title: Heading of the page.
        label: Column that is the label: cancer, birads, density, ...
        num: How many images, spread evenly, beside the worst; None shows all.
        splits: Only images of these; none for all.
        class_name: Of the predictions: whose score is shown.
        caution: What whoever sees a score must know of the model.
        model: Its name.
    """

    title: str = "What models see"
    label: str = "cancer"
    num: int | None = 120
    splits: tuple[str, ...] = ()
    class_name: str = "cancer"
    caution: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class _Job:
    """One image to be read and processed."""

    index: int
    root: str
    row: dict[str, Any]
    spec: PixelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One processed image, small.

    Attributes:
        picture: As a data URI; empty where it could not be made.
        size: Rows and columns of the picture.
        outline: Points of the mask's outline in the picture, "x,y x,y".
        geometry: From the file's pixels to the picture's.
        area_px: Of the mask, in the file's own pixels.
        notes: What was seen when it was processed; or why it could not be.
    """

    picture: str
    size: tuple[int, int] = (1, 1)
    outline: str = ""
    geometry: Geometry | None = None
    area_px: float = 0.0
    notes: tuple[str, ...] = field(default=())


def write_look(
    out: Path,
    *,
    manifest: Manifest | None,
    store: Store | None = None,
    spec: PixelSpec | None = None,
    predictions: pl.DataFrame | None = None,
    hits: pl.DataFrame | None = None,
    options: LookOptions | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the page.

    Args:
        out: The HTML file.
        manifest: Whose images, with labels and findings; None shows a store's images alone.
        store: Their pixels; without it files are read and processed.
        spec: What is done to pixels that are no store's.
        predictions: Scores, and regions that a model marks.
        hits: Of a search: ``rank``, ``image_id`` and ``cosine``; only these images are shown.
        options: What the page shows.
        executor: Where files are read, where there is no store.
        progress: Called with images done and images in all.

    Returns:
        How many images are on it.

    Raises:
        ReportError: There is no image to show, or no pixels.
    """
    used = options or LookOptions()
    rows = _rows(manifest, store, predictions, hits, used)
    chosen = _chosen(rows, used, all_of_them=hits is not None)
    seen: dict[str, Seen] = {}
    for image_id, one in _pictures(chosen, manifest, store, spec, executor):
        seen[image_id] = one
        if progress is not None:
            progress(len(seen), len(chosen))
    regions = _regions(manifest, predictions, used, set(seen))
    tiles = [_tile(row, seen[row["image_id"]], regions) for row in chosen.iter_rows(named=True)]
    by_id = {tile["image_id"]: tile for tile in tiles}
    worst = [
        (name, [by_id[i] for i in ids])
        for name, ids in zip(WORST, _worst(rows), strict=True)
        if ids and hits is None
    ]
    page = render(
        "look",
        {
            "title": used.title,
            "label": used.label,
            "options": used,
            "tiles": tiles,
            "worst": worst,
            "num_of": len(rows),
            "has_scores": any(tile["score"] is not None for tile in tiles),
            "has_errors": any(tile["error"] is not None for tile in tiles),
            "has_rank": hits is not None,
            "splits": sorted({tile["split"] for tile in tiles if tile["split"]}),
            "pixels": store.spec.name if store else spec.name if spec else "",
            "software": f"fourview {fourview.__version__}",
        },
    )
    write_text(out, page)
    return len(tiles)


def _rows(
    manifest: Manifest | None,
    store: Store | None,
    predictions: pl.DataFrame | None,
    hits: pl.DataFrame | None,
    options: LookOptions,
) -> pl.DataFrame:
    """One row per image that can be shown: ids, view, split, label, score, error, rank."""
    if manifest is None:
        if store is None:
            raise ReportError("nothing to show: give a manifest or a store")
        rows = store.table.with_columns(
            split=pl.lit(None, pl.String), label=pl.lit(None, pl.Float64)
        )
    else:
        rows = _labelled(manifest, options.label)
        if options.splits:
            rows = rows.filter(pl.col("split").is_in(list(options.splits)))
    if store is not None:
        rows = rows.filter(pl.Series([i in store for i in rows["image_id"]], dtype=pl.Boolean))
    rows = _scored(rows, predictions, options.class_name)
    rank = pl.lit(None, pl.Int64).alias("rank")
    if hits is not None:
        own = hits.select("image_id", pl.col("rank").cast(pl.Int64), score="cosine")
        rows = rows.drop("score").join(own, on="image_id", how="inner").sort("rank")
        rank = pl.col("rank")
    label = pl.col("label")
    numeric = rows["label"].dtype.is_numeric()
    error = (
        (label - pl.col("score")).abs() if numeric and hits is None else pl.lit(None, pl.Float64)
    )
    binary = (label == 0) | (label == 1) if numeric else pl.lit(False)
    rows = rows.with_columns(rank, error=pl.when(binary).then(error))
    if rows.is_empty():
        raise ReportError("there is no image to show; name other splits, or prepare the manifest")
    return rows


def _labelled(manifest: Manifest, label: str) -> pl.DataFrame:
    images = images_to_read(manifest)
    exams = manifest.exams.select("exam_id", "split")
    rows = images.drop("split", strict=False).join(
        exams, on="exam_id", how="left", maintain_order="left"
    )
    known = with_labels(images, [label], breasts=manifest.breasts, exams=manifest.exams)[label]
    return rows.with_columns(label=known)


def _scored(rows: pl.DataFrame, predictions: pl.DataFrame | None, name: str) -> pl.DataFrame:
    """The score of each image, else of its breast."""
    if predictions is None:
        return rows.with_columns(score=pl.lit(None, pl.Float64))
    own = predictions.filter(pl.col("class") == name)
    of_image = own.filter(pl.col("unit") == "image").select("image_id", of_image="score")
    of_breast = own.filter(pl.col("unit") == "breast").select("exam_id", "side", of_breast="score")
    joined = rows.join(
        of_image.unique("image_id"), on="image_id", how="left", maintain_order="left"
    )
    joined = joined.join(
        of_breast.unique(["exam_id", "side"]),
        on=["exam_id", "side"],
        how="left",
        maintain_order="left",
    )
    return joined.with_columns(score=pl.coalesce("of_image", "of_breast")).drop(
        "of_image", "of_breast"
    )


def _worst(rows: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Ids of the images with the largest errors, without and with the label."""
    wrong = rows.filter(pl.col("error").is_not_null())
    if wrong.is_empty():
        return [], []
    ordered = wrong.sort("error", descending=True, maintain_order=True)
    without, with_ = (ordered.filter(pl.col("label") == k)["image_id"] for k in (0, 1))
    return without.head(NUM_WORST).to_list(), with_.head(NUM_WORST).to_list()


def _chosen(rows: pl.DataFrame, options: LookOptions, *, all_of_them: bool) -> pl.DataFrame:
    if all_of_them:
        return rows if options.num is None else rows.head(options.num)
    count = len(rows) if options.num is None else min(options.num, len(rows))
    places = np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int)).tolist()
    wanted = {*rows["image_id"].gather(places), *(i for ids in _worst(rows) for i in ids)}
    return rows.filter(pl.col("image_id").is_in(list(wanted)))


def _pictures(
    rows: pl.DataFrame,
    manifest: Manifest | None,
    store: Store | None,
    spec: PixelSpec | None,
    executor: Executor | None,
) -> Iterator[tuple[str, Seen]]:
    if store is not None:
        notes = dict(store.table.select("image_id", "notes").iter_rows())
        geometries = dict(store.table.select("image_id", "geometry").iter_rows())
        for image_id in rows["image_id"]:
            geometry = Geometry.from_json(json.loads(geometries[image_id]))
            yield image_id, small(store.read(image_id), geometry, tuple(notes[image_id] or ()))
        return
    if manifest is None or spec is None or executor is None:
        raise ReportError("there are no pixels to show: give a store, or a pixel spec")
    listed = manifest.images.filter(pl.col("image_id").is_in(rows["image_id"].implode()))
    jobs = [
        _Job(number, str(manifest.root), row, spec)
        for number, row in enumerate(listed.iter_rows(named=True))
    ]
    for job, done in executor.run(_read, jobs, timeout_s=TIMEOUT_S):
        seen = Seen(picture="", notes=(done.reason,)) if isinstance(done, Lost) else done
        yield str(job.row["image_id"]), seen


def _read(job: _Job) -> Seen:
    """Read and process one file; what cannot be read gives a tile that says so."""
    path = Path(job.root) / str(job.row["path"])
    try:
        _, processed = read_processed(path, job.row, job.spec)
    except FourviewError as error:
        return Seen(picture="", notes=(str(error),))
    return small(to_pixel_levels(processed.pixels), processed.geometry, processed.notes)


def small(
    levels: UInt16[np.ndarray, "row col"], geometry: Geometry, notes: tuple[str, ...]
) -> Seen:
    """A processed image as a tile shows it.

    Args:
        levels: Of a store: 0 outside the mask.
        geometry: From the file's pixels to these.
        notes: Of its processing.
    """
    rows, cols = levels.shape
    size = (min(rows, TILE_ROWS), max(1, round(cols * min(rows, TILE_ROWS) / rows)))
    shrunk = cv2.resize(levels, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    mask: Any = (levels > 0).astype(np.uint8) * np.uint8(255)
    inside = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_AREA) >= 128
    contours, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    largest = max(contours, key=cv2.contourArea, default=None)
    points = [] if largest is None else cv2.approxPolyDP(largest, 0.6, True)[:, 0].tolist()
    scale = abs(float(np.linalg.det(geometry.matrix()[:, :2])))
    return Seen(
        picture=data_uri((shrunk // ((MAX_LEVEL + 1) // 256)).astype(np.uint8), "jpeg"),
        size=size,
        outline=" ".join(f"{x + 0.5:g},{y + 0.5:g}" for x, y in points),
        geometry=geometry.resized(*size),
        area_px=float((levels > 0).sum()) / scale,
        notes=notes,
    )


def _regions(
    manifest: Manifest | None,
    predictions: pl.DataFrame | None,
    options: LookOptions,
    ids: set[str],
) -> dict[str, list[dict[str, Any]]]:
    """Boxes in the stored frame by image: those that are known, and those that a model marks."""
    regions: dict[str, list[dict[str, Any]]] = {}
    if manifest is not None:
        known = manifest.findings.filter(pl.col("frame") == "stored").drop_nulls(["image_id", "x0"])
        for row in known.filter(pl.col("image_id").is_in(list(ids))).iter_rows(named=True):
            kind = {1: "malignant", 0: "benign"}.get(row["malignant"], "")
            text = " ".join(part for part in (kind, row["kind"] or "") if part)
            regions.setdefault(row["image_id"], []).append(
                {**_box(row), "text": text, "known": True, "opacity": 1}
            )
    if predictions is not None:
        marks = predictions.filter(
            (pl.col("unit") == "region")
            & (pl.col("class") == options.class_name)
            & pl.col("image_id").is_in(list(ids))
        ).sort("score", descending=True)
        for (image_id,), rows in marks.group_by("image_id", maintain_order=True):
            for row in rows.head(NUM_MARKS).iter_rows(named=True):
                mark = {**_box(row), "text": f"{row['score']:.2f}", "known": False}
                mark["opacity"] = max(0.25, min(float(row["score"]), 1.0))
                regions.setdefault(str(image_id), []).append(mark)
    return regions


def _box(row: dict[str, Any]) -> dict[str, Any]:
    return {"box": Box(row["x0"], row["y0"], row["x1"], row["y1"])}


def _tile(
    row: dict[str, Any], seen: Seen, regions: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """What the page needs of one image."""
    boxes = []
    for region in regions.get(row["image_id"], ()) if seen.geometry else ():
        assert seen.geometry is not None
        inside = seen.geometry.box_to_processed(region["box"]).clipped(seen.size)
        if inside is not None:
            boxes.append({**region, "box": inside})
    label = row["label"]
    return {
        "image_id": row["image_id"],
        "exam_id": row["exam_id"],
        "patient_id": row["patient_id"],
        "view": f"{row['side'] or '?'}-{row['view'] or '?'}",
        "split": row["split"],
        "label": "" if label is None else f"{label:g}" if isinstance(label, float) else str(label),
        "score": row["score"],
        "error": row["error"],
        "rank": row["rank"],
        "area": seen.area_px,
        "seen": seen,
        "boxes": boxes,
    }
