"""A store as a torch Dataset, against the store and the tables themselves."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import DataLoader

import fourview
from fourview.contract import ExamBatch
from fourview.entities import SLOTS
from fourview.errors import StoreError
from fourview.feeds.dataset import StoreDataset
from fourview.manifest.manifest import write_manifest
from fourview.sources.find import find_source


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    fourview.write_phantom(root / "phantom", num_exams=3, seed=5, preset="miniature", rows=256)
    manifest = find_source("phantom")(root / "phantom")
    exams = manifest.exams.with_columns(split=pl.Series(["train", "train", "test"]))
    manifest = fourview.make_manifest(
        source="phantom",
        root=manifest.root,
        images=manifest.images,
        breasts=manifest.breasts,
        exams=exams,
        findings=manifest.findings,
        terms=manifest.terms,
    )
    write_manifest(manifest, root / "manifest")
    fourview.prepare(manifest, "mvccl-192x96", root / "store")
    return root


def test_every_image_comes_with_its_pixels_place_and_label(made):
    manifest, store = fourview.open_manifest(made / "manifest"), fourview.open_store(made / "store")
    dataset = StoreDataset(manifest, store)
    assert len(dataset) == len(manifest.images) == 12
    cancer = {(r["exam_id"], r["side"]): r["cancer"] for r in manifest.breasts.to_dicts()}
    for index, row in enumerate(manifest.images.to_dicts()):
        item = dataset[index]
        assert item["image_id"] == row["image_id"]
        assert item["label"] == cancer[row["exam_id"], row["side"]]
        levels = np.rint(item["pixels"][0].numpy() * 65535).astype(np.uint16)
        assert np.array_equal(levels, store.read(row["image_id"]))
    assert dataset[-1]["image_id"] == dataset[11]["image_id"]
    with pytest.raises(IndexError):
        dataset[12]


def test_splits_classes_and_no_label(made):
    manifest, store = fourview.open_manifest(made / "manifest"), fourview.open_store(made / "store")
    test = StoreDataset(manifest, store, splits=["test"], label="density", classes="ABCD")
    assert len(test) == 4
    density = manifest.breasts.filter(pl.col("exam_id") == test[0]["exam_id"])["density"][0]
    assert {item["label"] for item in test} == {"ABCD".index(density)}
    assert math.isnan(StoreDataset(manifest, store, label=None)[0]["label"])


def test_torchs_loader_makes_batches_of_it(made):
    manifest, store = fourview.open_manifest(made / "manifest"), fourview.open_store(made / "store")
    batch = next(iter(DataLoader(StoreDataset(manifest, store), batch_size=5)))
    assert batch["pixels"].shape == (5, 1, 192, 96)
    assert batch["label"].dtype == torch.float64


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"label": "cancr"}, "did you mean 'cancer'"),
        ({"label": "density"}, "is in words"),
        ({"label": "density", "classes": "AB"}, "none of the classes"),
        ({"splits": ["validation"]}, "holds no image of validation"),
    ],
)
def test_what_cannot_be_is_said(made, more, words):
    manifest, store = fourview.open_manifest(made / "manifest"), fourview.open_store(made / "store")
    with pytest.raises(StoreError, match=words):
        StoreDataset(manifest, store, **more)


def test_a_batch_of_slots_leaves_out_what_is_missing():
    pixels = torch.rand(3, 4, 8, 4)
    pixels[1, 2] = torch.nan
    pixels[2] = torch.nan
    batch = ExamBatch.of_slots(pixels)
    assert (batch.num_exams, batch.num_images) == (3, 7)
    for place in range(7):
        assert torch.equal(batch.pixels[place, 0], pixels[batch.exam[place], batch.slot[place]])


def test_scores_of_pixels_are_those_of_the_exam_they_come_from(made):
    reader = fourview.load_model()
    exam = next(e for e in fourview.read_exams(made / "phantom" / "dicom") if e.images)
    views = [fourview.process(exam[name], reader.spec).pixels for name in SLOTS]
    pixels = torch.stack([torch.from_numpy(v) for v in views])[None]
    said = reader.predict(exam)
    got = reader.score_pixels(pixels)
    assert got.shape == (1, 2, 1)
    # one batch of four images both times; 1e-6 for float32 sums in another order
    assert got[0, :, 0].tolist() == pytest.approx([said.breast(s).score for s in "RL"], abs=1e-6)
    pixels[0, [1, 3]] = torch.nan
    assert reader.score_pixels(pixels)[0, 1].isnan().all()
    assert said.exam is exam
    assert "Trained on phantoms only" in said.caution
    assert [a.name for a in said.asked] == ["cancer"]
