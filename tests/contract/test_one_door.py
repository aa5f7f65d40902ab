"""Every family gives an exam that is read from DICOM what it gives the same exam in a store."""

from dataclasses import replace

import polars as pl
import pytest
import torch

from fourview.checkpoint.card import save_checkpoint
from fourview.contract import ExamBatch
from fourview.dicom.exams import read_exams
from fourview.entities import Finding, Region
from fourview.feeds.grid import RegionRule
from fourview.feeds.kinds.patches import PatchSettings
from fourview.feeds.kinds.regions import RegionFeedSettings
from fourview.geometry import Box
from fourview.manifest.manifest import make_manifest
from fourview.models.find import family_names, find_family
from fourview.nn.encoder import EncoderConfig
from fourview.nn.region_encoder import RegionEncoderConfig
from fourview.phantom.write import write_phantom
from fourview.predict.network import REGION_RULE
from fourview.predict.reader import load_model
from fourview.preprocess.spec import pixel_spec
from fourview.run_files import OPERATING_POINTS
from fourview.sources.find import find_source
from fourview.store.prepare import prepare
from fourview.store.store import Store

SPEC, SIZE = "mvccl-192x96", (192, 96)
CODES = RegionEncoderConfig(
    network=EncoderConfig(name="small", weights="none", widths=(4, 4, 4, 4, 6)), pool="mean_max"
)
REGIONS = RegionFeedSettings(windows=RegionRule(side=32, stride=16), encoder=CODES)
LOW = 0.05  # so that networks with random weights draw something
READERS = [name for name in family_names() if find_family(name).kind == "read"]
CASES = [*READERS, "clsdet-pixels", "single_view-density"]
MOST_DRAWN = 5  # findings of a breast


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    """Two phantom exams as DICOM files, as a manifest, and as a store; one view is missing."""
    root = tmp_path_factory.mktemp("door")
    write_phantom(root / "phantom", num_exams=2, seed=3, preset="miniature", rows=256, workers=1)
    missing = min((root / "phantom" / "dicom").rglob("*.dcm"))
    tables = find_source("phantom")(root / "phantom")
    missing.unlink()
    images = tables.images.filter(pl.col("path") != str(missing.relative_to(root / "phantom")))
    findings = tables.findings.filter(pl.col("image_id").is_in(images["image_id"].implode()))
    manifest = make_manifest(
        source="phantom",
        root=tables.root,
        images=images,
        breasts=tables.breasts,
        exams=tables.exams,
        findings=findings,
        terms="",
    )
    prepare(manifest, pixel_spec(SPEC), root / "store", workers=1)
    read = [exam for exam in read_exams([root / "phantom" / "dicom"]) if exam.images]
    assert sum(len(exam.images) for exam in read) == len(images) == 7
    return read, manifest, Store.open(root / "store")


def saved(folder, name, config, feed=None):
    family = find_family(name)
    torch.manual_seed(0)
    model = family.build(config).eval()
    save_checkpoint(
        folder,
        model,
        recipe=f"{name}:tiny",
        family=name,
        config=config,
        spec=pixel_spec(SPEC),
        feed=feed,
    )
    (folder / OPERATING_POINTS).write_text(
        f'{{"thresholds": {{"youden": 0.5}}, "regions": {{"{REGION_RULE}": {LOW}}}}}'
    )
    return model


def run_of(case, folder):
    """A checkpoint with random weights of a family, made for images of 192 x 96."""
    name, _, kind = case.partition("-")
    config = find_family(name).tiny_config
    if case == "frcnn":
        config = replace(config, size=SIZE)
    if case == "clsdet":
        saved(folder, name, replace(config, code_dim=12), REGIONS)
    elif kind == "pixels":
        feed = replace(REGIONS, reads="pixels")
        saved(folder, name, replace(config, code_dim=12, encoder=CODES), feed)
    elif name == "lesion":
        context = saved(folder / "context", "gmic", find_family("gmic").tiny_config)
        one = torch.zeros(1, dtype=torch.long)
        pixels = torch.zeros(1, 1, *SIZE)
        with torch.no_grad():
            batch = ExamBatch(pixels=pixels, exam=one, slot=one, rank=one, num_exams=1)
            grid = context(batch).saliency.shape[2:]
        feed = PatchSettings(sides=(10, 30), patch_px=16, windows=3, grid=tuple(grid))
        saved(folder, name, config, feed)
    else:
        saved(folder, name, replace(config, task=kind) if kind else config)
    return folder


def named_findings(manifest, exam):
    """The findings of the manifest, as whoever reads an exam would name them."""
    rows = manifest.findings.filter(exam_id=exam.exam_id).drop_nulls(["image_id", "x0"])
    rows = rows.filter(pl.col("malignant").is_not_null())
    of = {name: list(own.iter_rows(named=True)) for (name,), own in rows.group_by("finding_id")}
    return [
        Finding(finding_id=name, side=own[0]["side"], regions=tuple(map(region_of, own)))
        for name, own in of.items()
    ]


def region_of(row):
    points = row["polygon"] or []
    return Region(
        image_id=row["image_id"],
        box=Box(row["x0"], row["y0"], row["x1"], row["y1"]),
        polygon=tuple(zip(points[::2], points[1::2], strict=True)) or None,
    )


def corners(box):
    return box.x0, box.y0, box.x1, box.y1


@pytest.mark.parametrize("case", CASES)
def test_reading_an_exam_and_predicting_a_store_agree(case, exams, tmp_path):
    read, manifest, store = exams
    reader = load_model(run_of(case, tmp_path / "run"))
    # one exam at a time, as it is read: float32 sums in larger batches may be in another order
    table = reader.predict_store(manifest, store, batch_size=1)
    compared = 0
    for exam in read:
        own = table.filter(pl.col("exam_id") == exam.exam_id)
        findings = named_findings(manifest, exam) if reader.scores_findings else []
        said = reader.predict(exam, findings, join=False)
        if reader.scores_findings:
            compared += same_findings(said, own)
            continue
        for unit, key, parts in (
            ("image", "image_id", [(i.image_id, i.scores) for i in said.images]),
            ("breast", "side", [(b.side, b.scores) for b in said.breasts]),
        ):
            rows = own.filter(pl.col("unit") == unit).select(key, "class", "score").iter_rows()
            wanted = {(whose, name): score for whose, name, score in rows}
            got = {
                (whose, name): score for whose, scores in parts for name, score in scores.items()
            }
            assert got == wanted
            compared += len(got)
        compared += same_marks(reader, said, own)
    assert compared


def same_findings(said, table):
    """A named finding has the mean of the scores that it has on its images."""
    scores = table.group_by("finding_id").agg(pl.col("score").mean())
    means = dict(scores.iter_rows())
    got = {f.finding_id: f.score for b in said.breasts for f in b.findings}
    # windows of several findings in one batch: float32 in another order
    assert got == pytest.approx({name: means.get(name) for name in got}, abs=1e-6)
    assert set(means) <= set(got)
    return len(means)


def same_marks(reader, said, table):
    """What is drawn on a breast is the best of the table's regions, in the very same places."""
    regions = table.filter(pl.col("unit") == "region")
    kind = reader.networks[0].family.marks
    drawn = [finding for breast in said.breasts for finding in breast.findings]
    if kind == "regions":  # three of every class on every image, each among the table's
        rows = set(regions.select("image_id", "x0", "y0", "x1", "y1", "score").iter_rows())
        of = [(f.regions[0].image_id, *corners(f.regions[0].box), f.score) for f in drawn]
        assert of and set(of) <= rows
        return len(of)
    first = regions.filter((pl.col("class") == reader.task.classes[0]) & (pl.col("score") >= LOW))
    for breast in said.breasts:
        rows = first.filter(pl.col("side") == breast.side).sort("score", descending=True)
        there = set(rows.select("image_id", "x0", "y0", "x1", "y1", "score").iter_rows())
        got = [
            (f.regions[0].image_id, *corners(f.regions[0].box), f.score) for f in breast.findings
        ]
        # of equal scores the first image's is drawn, and a manifest may have another order
        assert set(got) <= there
        assert [one[-1] for one in got] == rows["score"].head(MOST_DRAWN).to_list()
    return len(drawn)


def test_joining_views_regroups_what_was_drawn_and_changes_nothing_else(exams, tmp_path):
    read, *_ = exams
    reader = load_model(run_of("single_view", tmp_path / "run"))
    joined = 0
    for exam in read:
        alone, together = (reader.predict(exam, join=join) for join in (False, True))
        for apart, one in zip(alone.breasts, together.breasts, strict=True):
            marks = [
                (f.regions[0].image_id, corners(f.regions[0].box), f.score) for f in apart.findings
            ]
            kept = [
                (r.image_id, corners(r.box), f.score if r.score is None else r.score)
                for f in one.findings
                for r in f.regions
            ]
            assert sorted(marks) == sorted(kept)
            assert [f.score for f in one.findings] == sorted(
                (f.score for f in one.findings), reverse=True
            )
            joined += sum(len(f.regions) == 2 for f in one.findings)
        assert alone.notes == together.notes
    assert joined


def test_every_kind_of_mark_was_drawn_by_some_case(exams, tmp_path):
    """Random weights of these families draw something, so the comparison above is not empty."""
    read, *_ = exams
    for case in ("single_view", "frcnn", "clsdet", "lesion"):
        reader = load_model(run_of(case, tmp_path / case))
        reader.networks[0].points.regions[REGION_RULE] = 1e-6
        drawn = [f for exam in read for b in reader.predict(exam).breasts for f in b.findings]
        assert drawn, case
