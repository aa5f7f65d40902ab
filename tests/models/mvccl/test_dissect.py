"""What a network uses: each switch against the same network or batch changed by hand."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from factory import drawn_store, exam_batch
from fourview.checkpoint.card import save_checkpoint
from fourview.cli.main import main
from fourview.contract import ExamBatch
from fourview.errors import CheckpointError
from fourview.evaluate.auc import auroc
from fourview.manifest.manifest import write_manifest
from fourview.models.find import find_family
from fourview.models.mvccl.dissect import (
    CONSTANT,
    OTHER_VIEW,
    STRANGERS,
    UNIFORM,
    MvcclDissection,
)
from fourview.models.mvccl.model import TINY, Mvccl
from fourview.predict.dissect import AS_IT_IS, dissect, strangers
from fourview.predict.network import load_network
from fourview.predict.reader import load_model
from fourview.preprocess.spec import pixel_spec
from fourview.study.dissect import dissect_runs

CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # scores are float32
BATCH = exam_batch("0123", "0123", "02", seed=4)
PATIENTS = ["a", "b", "c"]


def model(**changes) -> Mvccl:
    torch.manual_seed(0)
    net = Mvccl(replace(TINY, **changes)).eval()
    with torch.no_grad():  # so that cells differ, and attention is not uniform by itself
        for name, weight in net.named_parameters():
            if "attend.query" in name or "attend.key" in name:
                weight.mul_(20)
    return net


def read(net: Mvccl, switch: str | None, batch: ExamBatch = BATCH, **means) -> torch.Tensor:
    taken = MvcclDissection(net)
    with torch.no_grad():
        features = taken.features(batch)
        whose = strangers(batch, PATIENTS[: batch.num_exams])
        scores = taken.read(switch, features, batch, stranger=whose, means=means).image_scores
    assert scores is not None
    return scores


def scores_of(net: Mvccl, batch: ExamBatch = BATCH) -> torch.Tensor:
    with torch.no_grad():
        return net(batch).image_scores


WITH_ATTENTION = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"local": "sa"},
        {"local": "sa", "sa_on": "global"},
        {"gcm": False},
        {"pooled": True, "positions": True},
    ],
)


def test_strangers_are_of_another_patient_and_of_the_same_view():
    batch = exam_batch("0123", "0", "13", "0")
    others = strangers(batch, ["a", "a", "b", "c"]).tolist()
    # R-CC of exam 0: exam 1 is of the same patient, exam 2 has no R-CC, exam 3 has
    assert others == [7, 5, 6, 6, 7, 1, 3, 0]
    assert strangers(exam_batch("0", "2"), ["a", "b"]).tolist() == [0, 1]
    twice = exam_batch("02", "0022")
    assert strangers(twice, ["a", "b"]).tolist() == [2, 4, 0, 0, 1, 1]


@pytest.mark.parametrize("changes", [{}, {"local": "slices"}, {"local": "none"}])
def test_with_nothing_taken_away_it_reads_as_the_network_does(changes):
    net = model(**changes)
    torch.testing.assert_close(read(net, None), scores_of(net), rtol=0, atol=0)


@WITH_ATTENTION
def test_uniform_attention_is_that_of_a_network_whose_queries_are_zero(changes):
    net = model(**changes)
    got = read(net, UNIFORM)
    assert not torch.allclose(got, scores_of(net), **CLOSE)
    with torch.no_grad():
        net.local.attend.query.weight.zero_()
    torch.testing.assert_close(got, scores_of(net), **CLOSE)


@WITH_ATTENTION
def test_strangers_change_nothing_in_a_network_that_does_not_look_at_queries(changes):
    net = model(**changes)
    assert not torch.allclose(read(net, STRANGERS), scores_of(net), **CLOSE)
    with torch.no_grad():
        net.local.attend.query.weight.zero_()
    torch.testing.assert_close(read(net, STRANGERS), scores_of(net), **CLOSE)


def test_strangers_ask_and_the_own_other_view_answers():
    net = model(gcm=False)
    batch = exam_batch("02", "02", seed=1)
    with torch.no_grad():
        grid = net.encoder(batch.pixels)
        tokens = grid.flatten(2).transpose(1, 2)
        z_cc = net.local(tokens[2:3], tokens[1:2])  # CC of the stranger asks the own MLO
        z_mlo = net.local(tokens[3:4], tokens[0:1])
        want = net.head(torch.cat([z_cc, z_mlo], dim=1)).sigmoid()
    torch.testing.assert_close(read(net, STRANGERS, batch)[0], want[0], **CLOSE)


@pytest.mark.parametrize("changes", [{}, {"local": "sa"}, {"local": "slices"}, {"local": "none"}])
def test_another_patients_view_is_that_of_a_batch_with_the_views_exchanged(changes):
    net = model(**changes)
    batch = exam_batch("02", "02", seed=2)
    exchanged = replace(batch, pixels=batch.pixels[[0, 3, 2, 1]])
    want = scores_of(net, exchanged)[[0, 3, 2, 1]]
    torch.testing.assert_close(read(net, OTHER_VIEW, batch), want, **CLOSE)
    alone = exam_batch("0", "1")
    torch.testing.assert_close(read(net, OTHER_VIEW, alone), scores_of(net, alone), **CLOSE)


@pytest.mark.parametrize("part", ["g", "z", "pooled"])
def test_a_constant_part_is_the_same_for_every_image_and_the_rest_stays(part):
    net = model(pooled=True)
    with torch.no_grad():
        grid = net.encoder(BATCH.pixels)
        vectors = MvcclDissection(net).vectors(grid, BATCH)
    mean = vectors[part].mean(dim=0)
    columns = {"g": slice(0, 8), "z": slice(8, 24), "pooled": slice(24, 40)}
    joined = torch.cat([vectors[name] for name in ("g", "z", "pooled")], dim=1)
    joined[:, columns[part]] = mean
    with torch.no_grad():
        want = net.head(joined).sigmoid()
    torch.testing.assert_close(read(net, CONSTANT[part], **{part: mean}), want, **CLOSE)


@pytest.mark.parametrize(
    ("changes", "has"),
    [
        ({}, {STRANGERS, UNIFORM, "z constant", "g constant", OTHER_VIEW}),
        ({"gcm": False}, {STRANGERS, UNIFORM, OTHER_VIEW}),
        (
            {"gcm": False, "pooled": True},
            {STRANGERS, UNIFORM, "z constant", "pooled constant", OTHER_VIEW},
        ),
        ({"local": "slices", "gcm": False}, {OTHER_VIEW}),
        ({"local": "none", "gcm": False}, {OTHER_VIEW}),
        ({"local": "none", "gcm": False, "views": "one"}, set()),
    ],
)
def test_a_switch_that_the_network_lacks_says_why(changes, has):
    switches = MvcclDissection(model(**changes)).switches
    assert {s.name for s in switches if not s.missing} == has
    assert len(switches) == 6


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A data set, and the checkpoint of a tiny network that was not trained."""
    root = tmp_path_factory.mktemp("dissect")
    manifest, store = drawn_store(root, num_patients=6)
    write_manifest(manifest, root / "manifest")
    family = find_family("mvccl")
    made = (("run", TINY, 1), ("seed", TINY, 2), ("other", replace(TINY, gcm=False), 1))
    for name, config, seed in made:
        torch.manual_seed(seed)
        save_checkpoint(
            root / name,
            family.build(config),
            recipe=f"mvccl:{name}",
            family="mvccl",
            config=config,
            spec=pixel_spec("mvccl-192x96"),
        )
    return root, manifest, store


def test_a_data_set_is_read_as_a_reader_reads_it_whatever_the_batch(kept):
    root, manifest, store = kept
    network = load_network(root / "run")
    want = load_model(root / "run").predict_store(manifest, store)
    want = want.filter(pl.col("unit").is_in(["image", "breast"]))
    by_size = [dissect(network, manifest, store, batch_size=n) for n in (2, 100)]
    for rows in by_size:
        got = rows.tables[AS_IT_IS]
        both = got.join(want, on=["unit", "image_id", "exam_id", "side"], nulls_equal=True)
        assert len(both) == len(want)
        np.testing.assert_allclose(both["score"], both["score_right"], **CLOSE)
        assert rows.without_stranger == 0
    keys = ["unit", "image_id", "exam_id", "side"]
    constants = [rows.tables["z constant"] for rows in by_size]
    both = constants[0].join(constants[1], on=keys, nulls_equal=True)
    assert len(both) == len(want)
    # means over the same images, whose float32 scores come from batches of other sizes
    np.testing.assert_allclose(both["score"], both["score_right"], rtol=1e-4, atol=1e-5)


def test_the_command_prints_the_table_with_what_is_missing(kept, capsys, tmp_path):
    root, manifest, _ = kept
    arguments = [str(root / "run"), "--manifest", str(root / "manifest"), "--store"]
    arguments += [str(root / "store"), "--replicates", "50", "--batch", "4"]
    with pytest.raises(SystemExit) as stopped:
        main(["dissect", *arguments, "-o", str(tmp_path / "out")])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "queries of strangers" in shown
    assert "pooled=false" in shown
    told = json.loads((tmp_path / "out" / "dissection.json").read_text())
    table = load_model(root / "run").predict_store(manifest, kept[2])
    breasts = table.filter(pl.col("unit") == "breast").join(
        manifest.breasts.select("exam_id", "side", "cancer"), on=["exam_id", "side"]
    )
    area = auroc(breasts["score"].to_numpy(), breasts["cancer"].to_numpy() == 1)
    assert told["rows"][0]["metric"]["value"] == pytest.approx(area)
    assert told["num_units"] == len(breasts)
    lines = (tmp_path / "out" / "dissection.csv").read_text().splitlines()
    assert len(lines) == 8


def test_runs_of_two_recipes_and_families_without_a_dissection_are_refused(kept, capsys):
    root, manifest, store = kept
    data = ["--manifest", str(root / "manifest"), "--store", str(root / "store")]
    with pytest.raises(SystemExit) as stopped:
        main(["dissect", str(root / "run"), str(root / "other"), *data])
    assert stopped.value.code == 3
    assert "one recipe" in capsys.readouterr().err
    network = load_network(root / "run")
    network.family = replace(network.family, dissect=None)
    with pytest.raises(CheckpointError, match="these do: mvccl"):
        dissect(network, manifest, store)


def test_runs_of_one_recipe_are_their_mean_and_trained_patients_are_told(kept):
    root, manifest, store = kept
    patients = manifest.exams["patient_id"].unique(maintain_order=True).to_list()
    parts = {"train": patients[:2], "validation": [], "test": patients[2:]}
    (root / "run" / "split.json").write_text(json.dumps(parts))
    runs = [root / "run", root / "seed"]
    both = dissect_runs(runs, manifest, store, replicates=50)
    alone = [dissect_runs([run], manifest, store, replicates=50) for run in runs]
    for number, row in enumerate(both.rows):
        values = [one.rows[number].metric for one in alone]
        if row.metric is not None:
            assert row.metric.value == pytest.approx(np.mean([v.value for v in values]))
    assert "run was trained on 2 of the 6 patients" in " ".join(both.notes)
    held_out = dissect_runs([root / "run"], manifest, store, split="test", replicates=50)
    assert not held_out.notes
    assert held_out.num_units < both.num_units
    (root / "run" / "split.json").unlink()
