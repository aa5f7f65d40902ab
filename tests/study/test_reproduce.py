"""Published tables: all of them are there, and ours stand where they belong."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

import fourview.evaluate.published
from factory import drawn_store
from fourview.checkpoint.card import save_checkpoint
from fourview.cli.list_command import list_
from fourview.cli.main import main
from fourview.cli.reproduce import reproduce as command
from fourview.errors import EvaluationError
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import make_manifest, manifest_hash, write_manifest
from fourview.models.find import find_family
from fourview.predict.reader import load_model
from fourview.preprocess.spec import pixel_spec
from fourview.report.table_files import (
    reproduction_to_frame,
    reproduction_to_json,
    write_reproduction,
)
from fourview.report.table_html import reproduction_to_html
from fourview.report.table_published import TableColumn, find_row, find_table, published_tables
from fourview.study.find_recipe import recipe_names
from fourview.study.reproduce import reproduce
from scored_sets import scored_set

TABLE, ROW = "mvccl-table3", "GMIC single"  # breasts of INbreast and of CMMD
CSV = Path(fourview.evaluate.published.__file__).with_name("published.csv")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A manifest and two predictions files of it."""
    folder = tmp_path_factory.mktemp("scored")
    manifest, table = scored_set(40)
    digest = write_manifest(manifest, folder / "manifest")
    write_predictions(table, folder / "a.parquet", {"manifest_hash": digest})
    other = table.with_columns(pl.col("score") ** 2 * 0.9)
    write_predictions(other, folder / "b=2.parquet", {})
    return folder, manifest, table


def measured(scored, rows, *, source="scored_set", table=TABLE, **options):
    folder, manifest, _ = scored
    paths = {name: folder / path for name, path in rows.items()}
    manifest = replace(manifest, source=source)
    return reproduce(table, manifest, paths, replicates=20, **options)


def test_the_tables_of_all_papers_are_there():
    counts = {"mvccl": 3, "mama": 6, "glam": 5}  # result tables that each paper has
    names = {f"{paper}-table{n + 1}" for paper, count in counts.items() for n in range(count)}
    names |= {"clsdet-table1", "lesion-table2", "lesion-table3", "metarepo-table"}
    assert set(published_tables()) == names


def test_every_published_number_is_in_one_cell_of_its_table():
    printed = pl.read_csv(CSV, infer_schema=False)
    cells = [
        (t.source, row.method, c.protocol, c.dataset, c.metric, n.value, n.setting)
        for t in published_tables().values()
        for row in t.rows
        for c, n in row.published.items()
    ]
    expected = [
        (
            *(r[k] for k in ("source", "method", "protocol", "dataset", "metric")),
            float(r["value"]),
            r["setting"] or "",
        )
        for r in printed.iter_rows(named=True)
    ]
    assert sorted(cells) == sorted(expected)


@pytest.mark.parametrize("name", sorted(published_tables()))
def test_every_table_renders_without_a_row_of_ours(name, scored):
    reproduced = measured(scored, {}, table=name)
    table = find_table(name)
    page = reproduction_to_html(reproduced)
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("not run") == len(table.rows) * len(table.columns)
    frame = reproduction_to_frame(reproduced)
    assert len(frame) == sum(len(row.published) for row in table.rows)
    assert frame["ours"].is_null().all()
    assert {row["status"] for row in reproduction_to_json(reproduced)["rows"]} == {"not run"}
    names = [row.name for row in table.rows]
    assert [find_row(table, n.upper()).name for n in names] == names
    assert len(set(names)) == len(names)


def test_the_setting_names_a_row_and_the_deviation_does_not():
    rows = [row.name for row in find_table("clsdet-table1").rows]
    assert rows == ["DB-Baseline, five folds", "Max-region, five folds", "Cls-Det-RS, five folds"]
    assert find_row(find_table("clsdet-table1"), "cls-det-rs").name == rows[2]


def test_a_rows_numbers_are_those_of_evaluate(scored):
    reproduced = measured(scored, {ROW: "a.parquet", "my own": "b=2.parquet"}, seed=3)
    _, manifest, table = scored
    alone = evaluate(table, manifest, "metarepo-breast-v1", replicates=20, seed=3)
    row = find_row(reproduced.table, ROW)
    for metric in alone.metrics:
        own = TableColumn("metarepo-breast-v1", "scored_set", metric.name)
        assert reproduced.ours(row, own) == metric
        for dataset in ("INbreast", "CMMD"):
            column = TableColumn("metarepo-breast-v1", dataset, metric.name)
            assert reproduced.ours(row, column) is None
    cmmd = measured(scored, {ROW: "a.parquet"}, seed=3, dataset="cmmd")
    frame = reproduction_to_frame(cmmd)
    cell = frame.filter(method=ROW, dataset="CMMD", metric="auroc").row(0, named=True)
    by_hand = pl.read_csv(CSV).filter(
        method=ROW, dataset="CMMD", metric="auroc", source="BRAIxMVCCL, Table 3"
    )
    assert cell["published"] == by_hand["value"][0]
    assert (cell["ours"], cell["ours_low"]) == (alone.metrics[0].value, alone.metrics[0].low)
    new = reproduction_to_frame(reproduced).filter(method="my own")
    assert len(new) == 2
    assert new["published"].is_null().all()
    assert new["ours"].is_not_null().all()


def test_ours_stand_only_beside_the_same_data_set_if_the_paper_has_it(scored):
    table = measured(scored, {ROW: "a.parquet"}, source="inbreast")
    ours = reproduction_to_frame(table).filter(pl.col("ours").is_not_null())
    assert ours["dataset"].unique().to_list() == ["INbreast"]
    assert table.comparable.startswith("Ours are of the manifest of 'inbreast'")
    assert table.manifest_hash in table.comparable
    assert "the paper's (INbreast) only if" in table.comparable
    assert table.manifest_hash == manifest_hash(replace(scored[1], source="inbreast"))


def test_other_data_than_the_papers_are_called_not_comparable(scored):
    table = measured(scored, {ROW: "a.parquet"})
    assert table.comparable.startswith("Not comparable: ours are of the manifest of 'scored_set'")
    assert table.comparable.replace("'", "&#39;") in reproduction_to_html(table)


@pytest.mark.parametrize(
    ("table", "rows", "options", "message"),
    [
        ("mvcl-table3", {}, {}, "no published table 'mvcl-table3'; did you mean 'mvccl-table3'"),
        (TABLE, {"GMIC singel": "a.parquet"}, {}, "did you mean 'GMIC single'"),
        ("mama-table3", {"MaMA": "a.parquet"}, {}, "which row is 'MaMA'.*MaMA, linear probe;"),
        (TABLE, {ROW: "a.parquet", "gmic SINGLE": "a.parquet"}, {}, "is given twice"),
        (TABLE, {}, {"protocols": ["metarepo-breast"]}, "did you mean 'metarepo-breast-v1'"),
        (TABLE, {ROW: "manifest"}, {}, "row 'GMIC single'.*is a run folder.*add --store"),
        ("glam-table3", {"mine": "a.parquet"}, {}, "row 'mine', vindr-birads-v1.*--protocol NAME"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(scored, table, rows, options, message):
    with pytest.raises(EvaluationError, match=message):
        measured(scored, rows, table=table, **options)


def test_the_command_writes_the_table_and_prints_it(scored, tmp_path, capsys):
    folder, manifest, _ = scored
    options = {"manifest": folder / "manifest", "out": tmp_path / "out", "replicates": 20}
    rows = (f"{ROW}={folder / 'a.parquet'}", f"<b>mine={folder / 'b=2.parquet'}")
    command(TABLE, row=rows, json=True, **options)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out/table.json").read_text())
    status = {row["name"]: row["status"] for row in printed["rows"]}
    assert status.pop("<b>mine") == status.pop(ROW) == "measured"
    assert set(status.values()) == {"not run"}
    assert len(pl.read_csv(tmp_path / "out/table.csv")) == 32 + 4  # the paper's cells and one row
    page = (tmp_path / "out/table.html").read_text()
    assert "<b>mine" not in page
    assert "&lt;b&gt;mine" in page
    command(TABLE, row=rows, **options)
    text = capsys.readouterr().out
    assert "  cancer; both views of a breast" in text
    assert "AUC-ROC, INbreast: theirs 0.926 (0.806 to 1.000), ours not of these data" in text
    assert "AUC-ROC, scored_set: theirs none, ours 0." in text
    assert "not run: 7 of 9 rows" in text
    assert manifest_hash(manifest) in text
    with pytest.raises(EvaluationError, match="need NAME=PATH"):
        command(TABLE, row=("GMIC single",), **options)


def test_exit_codes_are_those_of_the_other_commands(scored, tmp_path, capsys):
    manifest = str(scored[0] / "manifest")
    for arguments, code, words in (
        (["no-table"], 3, "there are: clsdet-table1"),
        ([TABLE, "--row", f"{ROW}={tmp_path / 'absent.csv'}"], 3, "absent.csv: not found"),
        ([TABLE, "--rows", "x"], 2, "fourview reproduce --help"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["reproduce", *arguments, "--manifest", manifest, "-o", str(tmp_path / "out")])
        assert stop.value.code == code
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_tables_are_listed_and_reproduce_is_no_family(capsys):
    list_("tables", json=True)
    assert list(json.loads(capsys.readouterr().out)) == sorted(published_tables())
    assert not [name for name in recipe_names() if name.startswith("reproduce:")]


def test_files_are_written_where_asked(scored, tmp_path):
    written = write_reproduction(measured(scored, {}), tmp_path / "new/folder")
    assert [path.name for path in written] == ["table.json", "table.csv", "table.html"]
    assert all(path.stat().st_size for path in written)


def test_a_run_is_scored_through_the_store_as_predict_scores_it(tmp_path):
    manifest, store = drawn_store(tmp_path, num_patients=3)
    family = find_family("mvccl")
    torch.manual_seed(0)
    save_checkpoint(
        tmp_path / "run",
        family.build(family.tiny_config),
        recipe="mvccl:tiny",
        family="mvccl",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
    )
    table = reproduce(TABLE, manifest, {ROW: tmp_path / "run"}, store=store, replicates=0)
    reader = load_model(tmp_path / "run")
    predictions = reader.predict_store(manifest, store)
    alone = evaluate(predictions, manifest, "metarepo-breast-v1", replicates=0)
    result = table.results[ROW]["metarepo-breast-v1"]
    assert result.metrics == alone.metrics
    assert result.num_units == 6
    assert result.provenance["model_digest"] == reader.card.digest


def cells(table, **of):
    frame = reproduction_to_frame(table).filter(pl.col("ours").is_not_null())
    return sorted(frame.filter(**of)["dataset"].unique().to_list())


def split_in_two(manifest):
    """Half of the exams are the training part."""
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("test"))
    return replace(manifest, exams=manifest.exams.with_columns(split=half))


def test_a_number_stands_in_the_cell_of_its_data_set_and_part_and_in_no_other(scored):
    folder, manifest, _ = scored
    manifest = replace(split_in_two(manifest), source="csv")
    marks = scored[2].filter(pl.col("unit") == "region").unique("image_id")
    images = marks.select("image_id", "score").with_columns(unit=pl.lit("image"))
    write_predictions(images, folder / "images.parquet", {})
    rows = {"GMIC, fine-tuned": folder / "images.parquet"}

    def ours(**options):
        return reproduce("mvccl-table1", manifest, rows, replicates=0, **options)

    assert cells(ours()) == ["csv"]  # and in neither column of ADMANI
    whole, test = ours(dataset="ADMANI-2"), ours(dataset="ADMANI-1")
    assert (cells(whole), cells(test)) == (["ADMANI-2"], ["ADMANI-1 test"])
    units = [f.results["GMIC, fine-tuned"]["admani-image-v1"].num_units for f in (whole, test)]
    assert units == [160, 80]  # the paper measured all of ADMANI-2, and the test part of ADMANI-1
    other = ours(dataset="ADMANI-2", split="test")
    assert cells(other) == ["ADMANI-2, split test"]
    assert not other.is_on_published_data
    with pytest.raises(EvaluationError, match=r"no data set 'ADMANI'; .*ADMANI-1 test, ADMANI-2"):
        ours(dataset="ADMANI")
    with pytest.raises(EvaluationError, match="no split 'tets'; did you mean 'test'"):
        ours(split="tets")


def test_a_split_inbreast_is_measured_without_its_training_patients(scored):
    folder, manifest, _ = scored
    rows = {ROW: folder / "a.parquet"}
    inbreast = replace(split_in_two(manifest), source="inbreast")
    table = reproduce(TABLE, inbreast, rows, replicates=0)
    assert table.results[ROW]["metarepo-breast-v1"].num_units == 40
    assert cells(table) == ["INbreast"]
    everyone = replace(inbreast, exams=inbreast.exams.with_columns(split=pl.lit(None, pl.String)))
    table = reproduce(TABLE, everyone, rows, replicates=0)
    assert cells(table) == ["INbreast, all of it (no splits, so no 'test')"]
    assert "Not comparable" in table.comparable


def test_a_sample_is_measured_in_the_cell_of_the_papers_number(tmp_path):
    manifest, table = density_set(tmp_path)
    rows = {"MaMA, zero-shot": table}
    name = "embed-density-sample-v1"
    reproduced = reproduce("mama-table2", manifest, rows, protocols=[name], replicates=0)
    (result,) = reproduced.results["MaMA, zero-shot"].values()
    assert (result.protocol, result.num_units) == (name, 8)  # a tenth of 20 of each class
    row = find_row(reproduced.table, "MaMA, zero-shot")
    (column,) = [c for c in reproduced.columns if c.metric == "macro_auroc"]
    assert (column.protocol, column.dataset) == ("embed-density-v1", "EMBED")
    assert row.published[column].value > 0.9
    assert reproduced.ours(row, column).value is not None
    with pytest.raises(EvaluationError, match="and its sample share a cell"):
        names = [name, "embed-density-v1"]
        reproduce("mama-table2", manifest, rows, protocols=names, replicates=0)


def density_set(folder):
    """EMBED-like: 80 test images, 20 of each density, with a score of each class."""
    keys = [{"patient_id": f"p{n}", "exam_id": f"e{n}"} for n in range(80)]
    images = [k | {"image_id": f"i{n}", "side": "L", "view": "CC", "path": "x"}
              for n, k in enumerate(keys)]  # fmt: skip
    manifest = make_manifest(
        source="embed",
        root=".",
        terms="made up",
        images=pl.DataFrame(images),
        breasts=pl.DataFrame(
            [k | {"side": "L", "density": "ABCD"[n % 4]} for n, k in enumerate(keys)]
        ),
        exams=pl.DataFrame([k | {"split": "test"} for k in keys]),
    )
    rows = [
        {"image_id": f"i{n}", "class": name, "score": 0.4 if name == "ABCD"[n % 4] else 0.2}
        for n in range(80)
        for name in "ABCD"
    ]
    write_predictions(pl.DataFrame(rows), folder / "density.parquet", {})
    return manifest, folder / "density.parquet"


def test_two_figures_of_one_metric_say_what_was_asked_and_of_what(scored):
    page = reproduction_to_html(measured(scored, {}, table="glam-table4"))
    assert "density; all images of a breast" in page
    columns = find_table("glam-table3").columns
    told = {(c.metric, c.dataset, c.task, c.view) for c in columns}
    assert len(told) == len(columns)


def test_the_row_that_only_the_text_has_is_told(scored):
    table = measured(scored, {}, table="mvccl-table2")
    assert "section 3.4" in reproduction_to_html(table)
    assert "section 3.4" in reproduction_to_json(table)["notes"][0]


def test_a_run_is_not_measured_on_its_own_training_patients(tmp_path):
    manifest, store = drawn_store(tmp_path, num_patients=3)
    family = find_family("mvccl")
    save_checkpoint(
        tmp_path / "run" / "checkpoints" / "best",
        family.build(family.tiny_config),
        recipe="mvccl:tiny",
        family="mvccl",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
        trained_on=f"{manifest.source} abc",
    )
    patients = manifest.exams["patient_id"].to_list()
    (tmp_path / "run" / "split.json").write_text(json.dumps({"train": patients[:1]}))
    rows = {ROW: tmp_path / "run"}
    says = "was trained on 1 of the patients that are measured"
    with pytest.raises(EvaluationError, match=says):
        reproduce(TABLE, manifest, rows, store=store, replicates=0, dataset="INbreast")
    beside = reproduce(TABLE, manifest, rows, store=store, replicates=0)
    assert any(says in note for note in beside.notes)
