"""The measures of experiments/vlp.toml against loops over images, tokens and stored pixels."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from experiments.vlp_seen import Seen, in_cells, strangers

from experiments import vlp
from fourview.checkpoint.card import save_checkpoint
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.geometry import Box
from fourview.manifest.split import assign_split
from fourview.models.find import find_family
from fourview.phantom.tables import unpack_mask
from fourview.phantom.write import write_phantom
from fourview.predict.language import load_language_model
from fourview.preprocess.spec import pixel_spec
from fourview.run_files import BEST
from fourview.sources.phantom import read_phantom
from fourview.store.prepare import prepare
from fourview.store.store import Store

SPEC = pixel_spec("glam-192x96")
FEED = CaptionFeedConfig(segments=("findings", "impression"))
STRIDE, CENTER = 8, 0.5  # of the small encoder
GRID = (24, 12)
MALIGNANT = ("a finding highly suggestive of malignancy is seen and biopsy is advised",
             "BI-RADS category 5: highly suggestive of malignancy")  # fmt: skip
NEGATIVE = ("no mass, no suspicious calcification and no other abnormality is seen",
            "Impression: BI-RADS category 1: negative")  # fmt: skip


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Eight breasts of plain phantoms, half of them to learn from."""
    root = tmp_path_factory.mktemp("phantoms")
    write_phantom(
        root, num_exams=8, seed=2, preset="plain", vendors=("A",), syntaxes=("1.2.840.10008.1.2.1",)
    )
    manifest = read_phantom(root)
    store = tmp_path_factory.mktemp("store") / "s"
    prepare(manifest, SPEC, store)
    parts = {"train": 0.4, "validation": 0.1, "test": 0.5}
    return assign_split(manifest, parts, seed=0), Store.open(store)


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """Makes a finished run of an untrained network."""

    def make(name, **changes):
        family = find_family(name)
        config = replace(family.tiny_config, **changes)
        torch.manual_seed(3)
        folder = tmp_path_factory.mktemp(name)
        save_checkpoint(
            folder / BEST,
            family.build(config),
            recipe=f"{name}:tiny",
            family=name,
            config=config,
            spec=SPEC,
            feed=FEED,
        )
        return SimpleNamespace(folder=folder)

    return make


def findings_of(manifest):
    """Malignant findings of the test part, an image a row, in the manifest's order."""
    test = set(manifest.exams.filter(pl.col("split") == "test")["exam_id"])
    views = dict(manifest.images.select("image_id", "view").iter_rows())
    truth = pl.read_parquet(Path(manifest.root) / "truth" / "findings.parquet")
    masks = {(r["image_id"], r["finding_id"]): r["mask"] for r in truth.iter_rows(named=True)}
    return [
        row | {"view": views[row["image_id"]], "mask": masks[row["image_id"], row["finding_id"]]}
        for row in manifest.findings.iter_rows(named=True)
        if row["exam_id"] in test and row["malignant"] == 1
    ]


def counts_of(row, store):
    """Mask pixels on each token, one stored pixel after the other."""
    box = Box(row["x0"], row["y0"], row["x1"], row["y1"])
    mask = unpack_mask(row["mask"], int(box.y1 - box.y0), int(box.x1 - box.x0))
    counts = np.zeros(GRID, dtype=int)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                point = np.array([[box.x0 + x + 0.5, box.y0 + y + 0.5]])
                at = store.geometry(row["image_id"]).to_processed(point)[0]
                cell = [
                    min(
                        range(n),
                        key=lambda i, a=a: (abs(i * STRIDE + CENTER - a), -i),
                    )
                    for a, n in zip(at[::-1], GRID, strict=True)
                ]
                counts[tuple(cell)] += 1
    return counts


def pixels_of(image, store):
    return torch.from_numpy(store.read(image).astype(np.float32) / 65535)[None, None]


def inside_of(image, store):
    pixels = pixels_of(image, store)[0, 0]
    return np.array([[bool(pixels[8 * r, 8 * c] > 0) for c in range(12)] for r in range(24)])


def best_token(values, inside):
    places = [(r, c) for r in range(24) for c in range(12) if inside[r, c]]
    return max(places, key=lambda p: values[p])


@pytest.mark.parametrize(("name", "changes"), [("mama", {}), ("clip", {})])
def test_sentence_hits_are_those_of_a_loop_over_images(phantoms, run_of, name, changes):
    manifest, store = phantoms
    run = run_of(name, **changes)
    table = vlp.sentence_hits(run, manifest=manifest, store=store, part="test")
    rows = findings_of(manifest)
    assert table["patient_id"].to_list() == [row["patient_id"] for row in rows]
    assert len(rows) >= 4
    language = load_language_model(run.folder)
    caption = language.encode_texts([(f"Findings: {MALIGNANT[0]}", f"Impression: {MALIGNANT[1]}")])
    counts = [counts_of(row, store) for row in rows]
    for i, row in enumerate(rows):
        inside, on = inside_of(row["image_id"], store), counts[i] > 0
        tokens = language.model.image_tower(pixels_of(row["image_id"], store)).tokens[0]
        features = language.model.image_head(tokens)
        whole = torch.stack([torch.cosine_similarity(f, caption[0], dim=0) for f in features])
        whole = whole.reshape(GRID).detach().numpy()
        hit = on[best_token(whole, inside)]
        assert table["caption"][i] == hit
        own = whole
        if name == "mama":
            text = language.tokenizer.batch(
                [(f"Findings: {MALIGNANT[0]}", f"Impression: {MALIGNANT[1]}")], [0]
            )
            with torch.inference_mode():
                maps = language.model.sentence_maps(pixels_of(row["image_id"], store), text)
            own = maps[0, 1].numpy()
        best = best_token(own, inside)
        assert table["own"][i] == on[best]
        share = [on[r, c] for r in range(24) for c in range(12) if inside[r, c]]
        assert table["chance"][i] == pytest.approx(np.mean(share))
        near = any(
            on[r, c]
            for r in range(max(0, best[0] - 3), best[0] + 4)
            for c in range(max(0, best[1] - 3), min(12, best[1] + 4))
            if r < 24
        )
        assert table["beside"][i] == (near and not on[best])
        if name == "clip":
            negative = language.encode_texts([(f"Findings: {NEGATIVE[0]}", NEGATIVE[1])])
            other = torch.stack([torch.cosine_similarity(f, negative[0], dim=0) for f in features])
            apart = whole - other.reshape(GRID).detach().numpy()
            assert table["contrast"][i] == on[best_token(apart, inside)]
        after = [*range(i + 1, len(rows)), *range(i)]
        other = next(
            j for j in after
            if rows[j]["patient_id"] != row["patient_id"] and rows[j]["view"] == row["view"]
        )  # fmt: skip
        assert table["stranger"][i] == (counts[other] > 0)[best]


def test_the_probe_is_higher_on_the_masks_that_it_was_shown(phantoms, run_of):
    manifest, store = phantoms
    seen = Seen(run_of("clip"), manifest, store, "test")
    shown = seen.findings("train")
    images = shown["image_id"].to_list()
    maps, inside, on = seen.probe_maps(images), seen.inside(images), seen.covered(shown) > 0
    assert maps[inside & on].mean() > maps[inside & ~on].mean()


@pytest.mark.parametrize("name", ["glam", "clip"])
def test_row_hits_are_those_of_a_loop_over_findings(phantoms, run_of, name):
    manifest, store = phantoms
    changes = {"super_patches": (12, 6)} if name == "glam" else {}
    run = run_of(name, **changes)
    table = vlp.row_hits(run, manifest=manifest, store=store, part="test")
    rows = findings_of(manifest)
    pairs = {}
    for row in rows:
        pairs.setdefault((row["patient_id"], row["side"], row["finding_id"]), {})[row["view"]] = row
    keys = sorted(key for key, views in pairs.items() if len(views) == 2)
    assert table["patient_id"].to_list() == [key[0] for key in keys]
    model = load_language_model(run.folder).model
    for i, key in enumerate(keys):
        cells = {}
        for view, row in pairs[key].items():
            counts = counts_of(row, store)
            blocks = [
                [counts[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].sum() for c in range(6)]
                for r in range(12)
            ]
            cells[view] = np.array(blocks)
        column = max(range(6), key=lambda c: cells["MLO"][:, c].sum())
        truth = max(range(12), key=lambda r: cells["MLO"][r, column])
        asked = max(range(6), key=lambda c: cells["CC"][:, c].sum())
        asking = max(range(12), key=lambda r: cells["CC"][r, asked])
        cc, mlo = (pixels_of(pairs[key][view]["image_id"], store) for view in ("CC", "MLO"))
        inside = inside_of(pairs[key]["MLO"]["image_id"], store)
        there = [
            r for r in range(12)
            if inside[2 * r : 2 * r + 2, 2 * column : 2 * column + 2].mean() >= 0.1 or r == truth
        ]  # fmt: skip
        with torch.inference_mode():
            grids = [model.image_tower(x).tokens[0].reshape(24, 12, -1) for x in (cc, mlo)]
            query = grids[0][2 * asking : 2 * asking + 2, 2 * asked : 2 * asked + 2].mean((0, 1))
            cosine = {}
            for r in there:
                block = grids[1][2 * r : 2 * r + 2, 2 * column : 2 * column + 2].mean((0, 1))
                cosine[r] = float(torch.cosine_similarity(query, block, dim=0))
            own = cosine
            if name == "glam":
                within = model.patch_to_slice(cc, mlo)[1][0, asking, asked, column]
                own = {r: float(within[r]) for r in there}
        assert table["cosine"][i] == (max(there, key=cosine.get) == truth)
        assert table["own"][i] == (max(there, key=own.get) == truth)
        assert table["own_near"][i] == (abs(max(there, key=own.get) - truth) <= 1)
        assert table["chance"][i] == pytest.approx(1 / len(there))
        assert 0 <= table["own_elsewhere"][i] <= 1


def test_two_views_are_the_mean_of_what_zero_shot_says(phantoms, run_of):
    manifest, store = phantoms
    run = run_of("clip")
    table = vlp.two_views(run, manifest=manifest, store=store, part="test")
    language = load_language_model(run.folder)
    texts = language.encode_texts(
        [
            (f"Findings: {MALIGNANT[0]}", f"Impression: {MALIGNANT[1]}"),
            (f"Findings: {NEGATIVE[0]}", NEGATIVE[1]),
        ]
    )  # fmt: skip
    test = manifest.exams.filter(pl.col("split") == "test")["exam_id"]
    images = manifest.images.filter(pl.col("exam_id").is_in(test.to_list()))
    images = images.sort("patient_id", "exam_id", "side", "view")
    scores = []
    for image in images["image_id"]:
        with torch.inference_mode():
            feature = language.model.image_features(pixels_of(image, store))[0]
        scale = math.exp(language.model.logit_scale.item())
        logits = [scale * float(feature @ text) for text in texts]
        scores.append(1 / (1 + math.exp(logits[1] - logits[0])))
    assert table["single"].to_list() == pytest.approx(scores, abs=1e-5)  # float32 sums
    means = [(scores[i - i % 2] + scores[i - i % 2 + 1]) / 2 for i in range(len(scores))]
    assert table["mean"].to_list() == pytest.approx(means, abs=1e-5)
    known = manifest.breasts.join(images, on=["exam_id", "side"], how="semi")["cancer"].sum()
    assert table["known"].sum() == 2 * known
    assert table["seen"].to_list() == table["known"].cast(pl.Float64).to_list()  # plain: in both


def test_cells_sum_their_tokens():
    tokens = np.arange(16).reshape(1, 4, 4)
    assert in_cells(tokens, (2, 2)).tolist() == [[[10, 18], [42, 50]]]


def test_a_stranger_is_the_next_of_another_patient_and_of_the_same_kind():
    patients, kinds = ["a", "a", "b", "c", "c"], ["CC", "MLO", "CC", "MLO", "CC"]
    assert strangers(patients, kinds) == [2, 3, 4, 1, 0]
