"""Exam lists as pickles: plain data come in, anything that could run is refused."""

import os
import pickle
from collections import OrderedDict

import pytest

from fourview.errors import ManifestError
from fourview.sources.nyu import read_nyu, read_plain_pickle

EXAM = {
    "horizontal_flip": "NO",
    "L-CC": ["0_L_CC"],
    "R-CC": ["sub/0_R_CC"],
    "L-MLO": ["0_L_MLO", "0_L_MLO_again"],
    "R-MLO": [],
    "cancer_label": {"left_malignant": 1, "right_malignant": 0, "left_benign": 1, "unknown": 0},
}


def write(root, exams, protocol=4):
    (root / "exam_list.pkl").write_bytes(pickle.dumps(exams, protocol=protocol))
    return root


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_lists_of_every_protocol(tmp_path, protocol):
    manifest = read_nyu(write(tmp_path, [EXAM], protocol))
    assert manifest.images.sort("side", "view", "rank").select(
        "exam_id", "image_id", "side", "view", "path", "rank"
    ).rows() == [
        ("0", "0_L_CC", "L", "CC", "images/0_L_CC.png", 0),
        ("0", "0_L_MLO", "L", "MLO", "images/0_L_MLO.png", 0),
        ("0", "0_L_MLO_again", "L", "MLO", "images/0_L_MLO_again.png", 1),
        ("0", "sub/0_R_CC", "R", "CC", "images/sub/0_R_CC.png", 0),
    ]
    assert manifest.breasts.select("side", "cancer", "benign").rows() == [
        ("L", 1, 1),
        ("R", 0, None),
    ]


def test_an_exam_marked_unknown_has_no_label(tmp_path):
    label = EXAM["cancer_label"] | {"unknown": 1}
    manifest = read_nyu(write(tmp_path, [EXAM | {"cancer_label": label}]))
    assert manifest.breasts["cancer"].to_list() == [None, None]


class Shell:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_runs_a_command_is_refused_before_it_runs(tmp_path):
    trace = tmp_path / "ran"
    write(tmp_path, [EXAM, Shell(f"touch {trace}")])
    with pytest.raises(ManifestError, match=r"exam_list.pkl: is refused .*system"):
        read_nyu(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [OrderedDict(a=1), Shell, print, pytest.approx(1), range(3), complex(1, 2)],
    ids=["ordered", "class", "function", "object", "range", "complex"],
)
def test_every_class_and_function_is_refused(tmp_path, value):
    path = tmp_path / "list.pkl"
    try:
        path.write_bytes(pickle.dumps(value))
    except (pickle.PicklingError, AttributeError):  # a class of this test has no importable name
        path.write_bytes(b"cposix\nsystem\n.")
    with pytest.raises(ManifestError, match="is refused"):
        read_plain_pickle(path)


@pytest.mark.parametrize("data", [b"", b"\x80\x04", b"\x80\x04K\x01", b"garbage", b"\x80\x63."])
def test_damaged_pickles_are_refused_by_name(tmp_path, data):
    path = tmp_path / "list.pkl"
    path.write_bytes(data)
    with pytest.raises(ManifestError, match=r"list.pkl: is (refused|damaged)"):
        read_plain_pickle(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizontal_flip": "no"}, "horizontal_flip is 'no', need 'YES' or 'NO'"),
        ({"L-CC": "0_L_CC"}, "L-CC is '0_L_CC', need a list"),
        ({"cancer_label": {"left_malignant": 2, "right_malignant": 0}}, "left_malignant is 2"),
        ({"cancer_label": {"left_malignant": 1}}, "right_malignant is None"),
    ],
)
def test_a_malformed_exam_is_named(tmp_path, change, message):
    with pytest.raises(ManifestError, match=f"exam 0: {message}"):
        read_nyu(write(tmp_path, [EXAM | change]))


def test_regions_come_from_a_table_beside_the_list(tmp_path):
    write(tmp_path, [EXAM])
    text = "image_id,polygon,malignant\n0_L_CC,10 20 30 20 20 40,1\nsub/0_R_CC,1 1 3 1 3 4,0\n"
    (tmp_path / "findings.csv").write_text(text)
    findings = read_nyu(tmp_path).findings
    assert findings.select("exam_id", "side", "malignant", "x0", "y0", "x1", "y1").rows() == [
        ("0", "L", 1, 10, 20, 30, 40),
        ("0", "R", 0, 1, 1, 3, 4),
    ]
    assert findings["polygon"][0].to_list() == [10, 20, 30, 20, 20, 40]
