"""A study from its declaration to its page, on a few phantoms, by command."""

import json
import re

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fourview.cli.main import main
from fourview.manifest.manifest import read_manifest
from fourview.study.read_study import shipped_names
from printed import blocks


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study of docs/studies.md, done."""
    folder = tmp_path_factory.mktemp("study")
    text = next(b for b in blocks("docs/studies.md") if b.language == "toml").text
    (folder / "study.toml").write_text(text)
    _call(folder)
    return folder


def _call(folder, *more):
    with pytest.raises(SystemExit) as stop:
        main(["study", str(folder / "study.toml"), "-o", str(folder / "OUT"), *more])
    assert stop.value.code in (0, None)


def test_the_page_says_what_the_runs_say(made):
    told = json.loads((made / "OUT/study.json").read_text())
    rows = {row["row"]: row for row in told["measures"][0]["rows"]}
    manifest = read_manifest(made / "OUT/data/train/manifest")
    for row in ("one", "two"):
        areas = []
        for seed in (0, 1):
            run = made / f"OUT/runs/{row}-{seed}"
            test = json.loads((run / "split.json").read_text())["test"]
            scored = pl.read_parquet(run / "predictions.parquet").filter(
                pl.col("patient_id").is_in(test) & (pl.col("unit") == "breast")
            )
            both = scored.join(manifest.breasts, on=["exam_id", "side"])
            areas.append(roc_auc_score(both["cancer"].to_numpy(), both["score"].to_numpy()))
        assert rows[row]["runs"] == pytest.approx(areas, abs=1e-9)
        assert rows[row]["value"]["value"] == pytest.approx(sum(areas) / 2, abs=1e-9)
    page = (made / "OUT/page.md").read_text()
    assert "AUC by breast: two less one" in page
    assert (made / "OUT/page.html").exists() and (made / "OUT/forest.png").exists()


def test_the_same_command_trains_nothing_again(made, capsys):
    before = (made / "OUT/runs/one-0/recipe.json").stat().st_mtime_ns
    _call(made)
    shown = capsys.readouterr()
    assert "done in" not in shown.err
    assert (made / "OUT/runs/one-0/recipe.json").stat().st_mtime_ns == before


def test_a_claim_that_is_changed_later_stands_on_the_page(made):
    path = made / "study.toml"
    kept = path.read_text()
    path.write_text(kept.replace("above = 0", "above = -1"))
    _call(made)
    page = (made / "OUT/page.md").read_text()
    assert re.search(
        r"Declared otherwise .* claims\.A second epoch helps\.above was 0.*now -1", page
    )
    path.write_text(kept)


def test_a_run_that_is_missing_is_trained_and_others_are_kept(made, capsys):
    import shutil  # noqa: PLC0415

    for name in ("two-1", "two-1.json"):
        place = made / "OUT/runs" / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    stale = made / "OUT/measured/two-1/old.parquet"  # of the run that is gone
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    _call(made, "--rows", "one")
    assert "1 runs are not done" in capsys.readouterr().out
    _call(made)
    assert "two-1: done in" in capsys.readouterr().err
    assert not stale.exists()


def test_runs_of_a_row_that_now_says_otherwise_are_not_taken_for_it(made, capsys):
    path = made / "study.toml"
    kept = path.read_text()
    path.write_text(kept.replace("epochs=2", "epochs=3"))
    with pytest.raises(SystemExit) as stop:
        main(["study", str(path), "-o", str(made / "OUT")])
    path.write_text(kept)
    assert stop.value.code == 3
    assert "was trained otherwise than rows.two says now" in capsys.readouterr().err


def test_the_shipped_studies_are_listed(capsys):
    with pytest.raises(SystemExit):
        main(["list", "studies"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in shipped_names())


@pytest.mark.slow
def test_several_at_a_time_give_the_same_numbers_and_a_bad_row_stops_no_other(
    made, tmp_path, capsys
):
    text = (made / "study.toml").read_text()
    bad = (
        '[rows.bad]\nrecipe = "mvccl:mini_single"\nset = ["batch=4000"]\nmeasured = false\n\n[[meas'
    )
    (tmp_path / "study.toml").write_text(text.replace("[[meas", bad, 1))
    with pytest.raises(SystemExit) as stop:
        main(["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "OUT"), "--jobs", "2"])
    assert stop.value.code == 3
    assert "2 runs failed, such as bad-0: the training part has" in capsys.readouterr().err
    there, here = (
        json.loads((folder / "OUT/study.json").read_text())["measures"][0]["rows"]
        for folder in (made, tmp_path)
    )
    assert [row["runs"] for row in there] == [pytest.approx(row["runs"], abs=1e-3) for row in here]
