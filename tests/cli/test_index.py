"""``fourview index`` with a paper's list, and natures of findings by BI-RADS."""

import pytest

from fourview.cli.main import BAD_DATA, main
from fourview.manifest.manifest import read_manifest

HEADER = "patient_id,exam_id,image_id,side,view,path,cancer,birads"
ROWS = [f"p{n},e{n},i{n},L,CC,files/i{n}.dcm,{n % 2},{(1, 5)[n % 2]}" for n in range(10)]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "table.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    return tmp_path


def run(*words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code


def index(root, *words):
    return run("index", root, "--source", "csv", "-o", root / "manifest", *words)


def splits(root):
    exams = read_manifest(root / "manifest").exams
    return {s: sorted(exams.filter(split=s)["patient_id"]) for s in ("train", "test")}


@pytest.mark.parametrize(
    "text",
    [
        "image_id\ni3\ni7\n",
        "File Name\ni3.dcm\nfiles/i7.dcm\n",
        "patient_id,split\np3,test\np7,TEST\n",
        "AccessionNumber;set\ne3;test\ne7;test\n",
        "i3\ni7\n",
        "p3\np7\n",
    ],
)
def test_a_papers_list_names_the_test_in_any_usual_way(text, root, capsys):
    (root / "list").mkdir()
    listed = root / "list" / "test.txt"
    listed.write_text(text)
    assert index(root, "--split-list", listed) == 0
    assert splits(root) == {"train": [], "test": ["p3", "p7"]}
    capsys.readouterr()
    assert run("check", root / "manifest", "--no-files") == 0
    assert "note: 8 of 10 patients have no split (p0, p1, p2, ...)" in capsys.readouterr().out
    assert index(root, "--split-list", listed, "--split", "1,0,0") == 0
    assert splits(root) == {"train": [f"p{n}" for n in range(10) if n not in (3, 7)],
                            "test": ["p3", "p7"]}  # fmt: skip
    capsys.readouterr()
    assert run("check", root / "manifest", "--no-files") == 0
    assert "have no split" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image_id\ni3\nq\n", "names image_id 'q' (1 such), which is not in the manifest"),
        ("who\nnobody\n", "its one column 'who' is no patient_id, exam_id or image_id"),
        ("a,b\n1,2\n", "has columns a, b; need one of patient_id"),
        ("patient_id,split\np3,later\n", "has split 'later', need one of train"),
        ("image_id\n\n", "names nobody"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_line(text, says, root, capsys):
    (root / "list").mkdir()
    (root / "list" / "test.csv").write_text(text)
    assert index(root, "--split-list", root / "list" / "test.csv") == BAD_DATA
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_findings_get_a_nature_by_birads_where_it_is_asked_for(root):
    (root / "findings.csv").write_text("image_id,x0,y0,x1,y1\ni1,1,1,5,5\ni2,1,1,5,5\n")
    assert index(root, "--finding-nature", "birads") == 0
    manifest = read_manifest(root / "manifest")
    assert manifest.findings["malignant"].to_list() == [1, None]
    assert "by BI-RADS where no biopsy says it" in manifest.label_rules["malignant"]
    assert index(root, "--finding-nature", "guess") == 2
