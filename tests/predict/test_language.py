"""Zero-shot, embeddings and search: the right text for the right image, each text once."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from factory import drawn_store
from fourview.captions.caption import caption_facts, load_template
from fourview.captions.prompts import make_prompts
from fourview.checkpoint.card import save_checkpoint
from fourview.cli.main import main
from fourview.errors import CheckpointError
from fourview.evaluate.run import evaluate
from fourview.manifest.manifest import write_manifest
from fourview.models.find import find_family
from fourview.predict.language import LanguageModel, load_language_model, sentences_of
from fourview.preprocess.spec import pixel_spec
from fourview.study.reproduce import reproduce

# float32 sums over batches of other shapes
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    manifest, store = drawn_store(root, num_patients=4)
    birads = pl.Series([1, 2, 4, 0, 5, 2, 0, 1], dtype=pl.Int8)
    manifest = replace(manifest, breasts=manifest.breasts.with_columns(birads=birads))
    write_manifest(manifest, root / "manifest")
    return root, manifest, store


@pytest.fixture(scope="module")
def run(data):
    family = find_family("clip")
    torch.manual_seed(0)
    save_checkpoint(
        data[0] / "run",
        family.build(family.tiny_config),
        recipe="clip:tiny",
        family="clip",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
        terms="keep it",
        may_release=False,
    )
    return data[0] / "run"


def slow_scores(model: LanguageModel, manifest, store, prompts):
    """Image by image and class by class, straight from the definition."""
    template = load_template()
    facts = caption_facts(manifest, template.columns)
    scores = {}
    for image in manifest.images["image_id"]:
        made = make_prompts(template, prompts, facts, [image])
        pixels = torch.from_numpy(store.read_many([image]).astype(np.float32) / 65535)[:, None]
        with torch.no_grad():
            own = model.model.image_features(pixels)[0].double()
            logits = [
                float(model.model.logit_scale.exp())
                * float(own @ model.encode_texts([made.texts[n]])[0].double())
                for n in made.which[0]
            ]
        odds = np.exp(np.array(logits) - max(logits))
        scores[image] = dict(zip(made.classes, odds / odds.sum(), strict=True))
    return scores


@pytest.mark.parametrize("prompts", ["embed-birads7", "embed-density", "rsna-cancer"])
def test_zero_shot_scores_are_those_of_a_slow_loop(data, run, prompts):
    _, manifest, store = data
    model = load_language_model(run)
    table = model.zero_shot(manifest, store, prompts, batch_size=3)
    want = slow_scores(model, manifest, store, prompts)
    images = table.filter(unit="image")
    for row in images.iter_rows(named=True):
        assert row["score"] == pytest.approx(want[row["image_id"]][row["class"]], rel=1e-4)
    sides = dict(zip(manifest.images["image_id"], manifest.images["side"], strict=True))
    for row in table.filter(unit="breast").iter_rows(named=True):
        own = images.filter(
            (pl.col("exam_id") == row["exam_id"]) & (pl.col("class") == row["class"])
        )
        values = [s for i, s in own.select("image_id", "score").rows() if sides[i] == row["side"]]
        assert row["score"] == pytest.approx(sum(values) / len(values), rel=1e-6)


def test_each_distinct_text_is_encoded_once(data, run):
    _, manifest, store = data
    model = load_language_model(run)
    encoded: list[tuple[int, ...]] = []
    forward = model.model.text_tower.forward

    def counted(text):
        encoded.extend(tuple(t[m].tolist()) for t, m in zip(text.tokens, text.mask, strict=True))
        return forward(text)

    model.model.text_tower.forward = counted
    model.zero_shot(manifest, store, "embed-birads7")
    assert max(Counter(encoded).values()) == 1
    assert len(encoded) == 7 * 4 * 2  # categories, ages, views; the side is hidden


def test_embeddings_are_of_length_1_and_a_search_finds_what_is_nearest(data, run, capsys):
    root = data[0]
    common = [str(run), "--manifest", str(root / "manifest"), "--store", str(root / "store")]
    out = root / "embeddings.parquet"
    with pytest.raises(SystemExit) as ended:
        main(["embed", *common, "-o", str(out), "--texts"])
    assert ended.value.code == 0
    assert "keep it" in capsys.readouterr().out
    table = pl.read_parquet(out)
    assert Counter(table["kind"]) == {"image": 16, "text": 16}
    assert pl.read_parquet_metadata(out)["may_release"] == "false"
    vectors = np.stack(table["embedding"].to_numpy())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    images = table.filter(kind="image")
    model = load_language_model(run)
    query = model.encode_texts([("no mass", "negative")])[0].numpy()
    cosines = np.stack(images["embedding"].to_numpy()) @ query
    want = images["image_id"].gather(np.argsort(-cosines, kind="stable")).to_list()
    for how in (["--embeddings", str(out)], common[1:]):
        with pytest.raises(SystemExit) as ended:
            listed = root / "list.csv"
            main(["search", str(run), "no mass. negative.", *how, "--top", "5", "-o", str(listed)])
        assert ended.value.code == 0
        assert pl.read_csv(listed)["image_id"].to_list() == want[:5]


def test_a_typed_query_is_parted_at_points_semicolons_and_lines():
    assert sentences_of("No mass; a cyst.\nBI-RADS 2.") == ("No mass", "a cyst", "BI-RADS 2")
    assert sentences_of(" . ") == ()


def test_predictions_by_prompts_are_measured_by_their_protocol(data, run):
    root, manifest, _ = data
    out = root / "zero.parquet"
    with pytest.raises(SystemExit) as ended:
        where = ["--manifest", str(root / "manifest"), "--store", str(root / "store")]
        main(["predict", str(run), *where, "--prompts", "embed-density", "-o", str(out)])
    assert ended.value.code == 0
    result = evaluate(pl.read_parquet(out), manifest, "embed-density-v1", replicates=0)
    metrics = {m.name: m.value for m in result.metrics}
    assert 0 <= metrics["balanced_accuracy"] <= 1


def test_a_pre_trained_run_can_fill_a_zero_shot_row_of_a_table(data, run):
    _, manifest, store = data
    table = reproduce(
        "glam-table4",
        manifest,
        {"CLIP, zero-shot, mean over views": run},
        store=store,
        protocols=["embed-density-pairs-multiview-v1", "embed-birads3-pairs-multiview-v1"],
        replicates=0,
    )
    (results,) = table.results.values()
    assert set(results) == {
        "embed-density-pairs-multiview-v1",
        "embed-birads3-pairs-multiview-v1",
    }


def test_a_model_that_knows_no_text_is_refused(tmp_path):
    family = find_family("single_view")
    save_checkpoint(
        tmp_path,
        family.build(family.tiny_config),
        recipe="single_view:tiny",
        family="single_view",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
    )
    with pytest.raises(CheckpointError, match="compares no images with texts"):
        load_language_model(tmp_path)
