"""A prediction leaves as DICOM and comes back as an input, as a person types it."""

import json
from dataclasses import replace

import polars as pl
import pytest

import fourview as package
from dicom_output_examples import CREATED
from fourview.cli.main import BAD_DATA, USAGE, main
from fourview.entities import SLOTS
from fourview.phantom.write import write_phantom
from fourview.report.dicom.options import DicomOptions
from fourview.report.exam_json import exam_from_json, exam_to_json

ALL = {
    "cad-sr.dcm",
    "sc.dcm",
    "sr1500.dcm",
    *(f"{kind}-{slot}.dcm" for kind in ("gsps", "seg") for slot in SLOTS),
}


def fourview(*words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return stop.value.code


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two small phantom exams; the first is read by the model of the package, with all objects."""
    root = tmp_path_factory.mktemp("out")
    write_phantom(root / "phantom", num_exams=2, seed=3, preset="miniature", workers=1)
    study, other = sorted((root / "phantom" / "dicom").iterdir())
    assert fourview("read", study, "-o", root / "out", "--exact", "--dicom", "all") == 0
    return root, study, other


def prediction(folder):
    return exam_from_json(json.loads((folder / "result.json").read_text()))


def test_read_writes_the_objects_that_were_asked_for(made, capsys):
    root, study, _ = made
    assert {p.name for p in (root / "out" / "dicom").iterdir()} == ALL
    out = root / "default"
    assert fourview("read", study, "-o", out, "--exact", "--dicom", "default") == 0
    assert f"6 DICOM objects in {out / 'dicom'}: cad-sr.dcm" in capsys.readouterr().out
    assert {p.name for p in (out / "dicom").iterdir()} == {
        n for n in ALL if n[:2] in ("ca", "gs", "sc")
    }
    assert fourview("read", study, "-o", root / "none", "--exact") == 0
    assert not (root / "none" / "dicom").exists()


def test_the_command_gives_the_bytes_that_reading_gave(made, capsys):
    root, _, _ = made
    out = root / "again"
    where = root / "phantom" / "dicom"  # its own study is found among the others
    code = fourview("dicom", root / "out", where, "-o", out, "--as", "all", "--json")
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["files"]) == len(ALL)
    assert said["not_made"] == []
    for path in sorted((root / "out" / "dicom").iterdir()):
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_the_functions_give_the_same_objects(made):
    _, study, _ = made
    exam = package.read_exam(study)
    said = package.load_model().predict(exam)
    options = DicomOptions(created=CREATED)
    objects = package.dicom_objects(said, exam, options)
    assert [o.name for o in objects] == ["cad-sr", *(f"gsps-{s}" for s in SLOTS), "sc"]
    paths = package.write_dicom(said, exam, study.parent.parent / "api", options=options)
    assert [p.read_bytes() for p in paths.files] == [o.data for o in objects]


def test_results_among_the_inputs_change_nothing_and_are_listed(made):
    root, study, _ = made
    out = root / "both"
    assert fourview("read", study, root / "out" / "dicom", "-o", out, "--exact") == 0
    before, after = prediction(root / "out"), prediction(out)
    assert {x.path for x in after.left_out} == ALL
    assert all(x.reason and x.detail for x in after.left_out)
    assert exam_to_json(replace(after, left_out=())) == exam_to_json(replace(before, left_out=()))
    for name in ("cad-sr", "sc"):  # and the same objects come out
        objects = [
            package.dicom_objects(p, package.read_exam(study), DicomOptions(created=CREATED))
            for p in (before, after)
        ]
        assert [o.data for o in objects[0] if o.name == name] == [
            o.data for o in objects[1] if o.name == name
        ]


def test_results_alone_are_no_exam(made, capsys):
    root, _, _ = made
    code = fourview("read", root / "out" / "dicom", "-o", root / "nothing", "--exact")
    assert code == BAD_DATA
    said = capsys.readouterr().err
    assert "no mammogram to read" in said
    assert all(f"{name}: it" in said for name in ALL)


def test_an_index_with_results_has_the_same_images_to_read(made, tmp_path):
    root, study, _ = made
    folder = tmp_path / "study"
    folder.mkdir()
    for path in (*study.iterdir(), *(root / "out" / "dicom").iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    for name, where in (("with", folder), ("without", study)):
        assert fourview("index", where, "--source", "dicom", "-o", tmp_path / name) == 0
    tables = {n: pl.read_parquet(tmp_path / n / "images.parquet") for n in ("with", "without")}
    left_out = tables["with"].filter(pl.col("left_out").is_not_null())
    assert {p.rsplit("/")[-1] for p in left_out["path"]} == ALL
    kept = tables["with"].filter(pl.col("left_out").is_null())
    for column in ("image_id", "exam_id", "patient_id", "side", "view"):
        assert kept[column].to_list() == tables["without"][column].to_list()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("read", "STUDY", "-o", "OUT", "--dicom", "pdf"),
            USAGE,
            "no kind 'pdf'; there are: cad",
        ),
        (("dicom", "RESULT", "STUDY", "-o", "OUT", "--as", "sc,pdf"), USAGE, "seg, default, all"),
        (("dicom", "RESULT", "STUDY", "-o", "OUT", "--required-at", "2"), USAGE, "required-at"),
        (("dicom", "RESULT", "STUDY", "-o", "OUT", "--created", "soon"), USAGE, "created"),
        (("dicom", "RESULT", "OTHER", "-o", "OUT"), BAD_DATA, "name the study that was read"),
        (("dicom", "RESULT", "STUDY", "-o", "RESULT"), BAD_DATA, "a file where a folder is needed"),
        (("dicom", "NONE", "STUDY", "-o", "OUT"), BAD_DATA, "not found"),
        (
            ("read", "STUDY", "-o", "OUT", "--dicom", "sc", "--pseudonyms", "KEY"),
            BAD_DATA,
            "leave out --dicom or --pseudonyms",
        ),
    ],
)
def test_mistakes_get_one_line(words, code, said, made, capsys, tmp_path):
    root, study, other = made
    places = {
        "RESULT": root / "out" / "result.json",
        "STUDY": study,
        "OTHER": other,
        "OUT": tmp_path / "made",
        "NONE": tmp_path / "none.json",
        "KEY": tmp_path / "key",
    }
    places["KEY"].write_bytes(bytes(32))
    assert fourview(*(places.get(word, word) for word in words)) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "made").exists()


def test_one_exam_that_cannot_be_filed_does_not_stop_the_others(made, capsys, tmp_path):
    """Its report is written, the objects of the next exam too, and the exit code tells."""
    import pydicom  # noqa: PLC0415 - a header is broken here alone

    _, study, other = made
    folder = tmp_path / "studies"
    for number, source in enumerate((study, other)):
        (folder / str(number)).mkdir(parents=True)
        for path in source.iterdir():
            dataset = pydicom.dcmread(path)
            if source is study:
                del dataset.SeriesInstanceUID
            dataset.save_as(folder / str(number) / path.name)
    out = tmp_path / "out"
    assert fourview("read", folder, "-o", out, "--exact", "--dicom", "cad-sr") == BAD_DATA
    assert "1 of 2 exams have no DICOM objects" in capsys.readouterr().err
    assert len(list(out.rglob("report.html"))) == 2
    assert len(list(out.rglob("cad-sr.dcm"))) == 1
