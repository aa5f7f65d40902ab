"""Why an image is left out: one closed list of words, the same from the headers to the report."""

import ast
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fourview
from dicom_examples import TWELVE, mammogram, write_mammogram
from fourview.checkpoint.card import ModelCard
from fourview.dicom.exams import read_exams
from fourview.entities.reasons import Reason, reason_of
from fourview.errors import (
    DamagedPixelsError,
    ManifestError,
    NoBreastError,
    NotDicomError,
    PictureError,
    PixelError,
)
from fourview.manifest.manifest import make_manifest
from fourview.models.find import find_family
from fourview.predict.network import Network
from fourview.predict.reader import Reader
from fourview.preprocess.spec import pixel_spec
from fourview.sources.dicom import read_dicom
from fourview.store.prepare import prepare

SPEC = "mvccl-192x96"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One exam: an image without a breast, and one whose pixels are cut off."""
    root = tmp_path_factory.mktemp("exam")
    blank = np.zeros((64, 48), np.int64)
    write_mammogram(root / "blank.dcm", mammogram(1, side="L"), stored=blank, layout=TWELVE)
    write_mammogram(root / "cut.dcm", mammogram(2, side="R"))
    data = (root / "cut.dcm").read_bytes()
    (root / "cut.dcm").write_bytes(data[:-1000])
    return root


def test_a_reading_and_a_store_give_the_same_reasons_for_the_same_files(folder, tmp_path):
    stored = prepare(read_dicom(folder), pixel_spec(SPEC), tmp_path / "s").failed
    of_store = dict(stored.select("path", "reason").iter_rows())
    family = find_family("single_view")
    card = ModelCard(
        recipe="single_view:test",
        family="single_view",
        config=asdict(family.tiny_config),
        pixel_spec=SPEC,
        fingerprint=pixel_spec(SPEC).fingerprint,
        digest="",
    )
    (exam,) = read_exams(folder)
    reader = Reader([Network(family.build(family.tiny_config), card, family)])
    said = reader.predict(exam)
    of_reading = {Path(out.path).name: str(out.reason) for out in said.left_out}
    assert of_reading == of_store == {"blank.dcm": "no_breast", "cut.dcm": "damaged"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoBreastError("a"), Reason.NO_BREAST),
        (PictureError("a"), Reason.DAMAGED),
        (DamagedPixelsError("a"), Reason.DAMAGED),
        (NotDicomError("a"), Reason.NOT_DICOM),
        (PixelError("a window of width 0"), Reason.UNSUPPORTED),
        (FileNotFoundError("a"), Reason.UNREACHABLE),
    ],
)
def test_every_error_of_a_file_has_its_word(error, reason):
    assert reason_of(error) is reason


def test_a_file_that_cannot_be_opened_is_unreachable_whatever_was_to_be_read():
    error = NotDicomError("the file cannot be opened")
    error.__cause__ = PermissionError("denied")
    assert reason_of(error) is Reason.UNREACHABLE


def test_a_manifest_with_another_word_is_refused():
    image = {"patient_id": "p", "exam_id": "e", "image_id": "i", "left_out": "bad"}
    with pytest.raises(ManifestError, match="left_out 'bad', need one of unreachable, special"):
        make_manifest(source="t", root="", terms="", images=pl.DataFrame([image]))


def test_the_page_lists_every_word_with_its_sentence():
    page = (DOCS / "data_sets.md").read_text()
    table = page[page.index("## Why an image is left out") :]
    listed = [line for line in table.splitlines() if line.startswith("| `")]
    assert listed == [f"| `{reason.value}` | {reason.sentence} |" for reason in Reason]


def test_nobody_writes_a_reason_of_his_own():
    """``reason=`` and ``left_out=`` are never given a text in the package."""
    package = Path(fourview.__file__).parent
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg in ("reason", "left_out"):
                value = node.value
                texts = [
                    n.args[0].value
                    for n in ast.walk(value)
                    if isinstance(n, ast.Call)
                    and getattr(n.func, "attr", "") == "lit"
                    and isinstance(n.args[0], ast.Constant)
                ]
                if isinstance(value, ast.Constant) and node.arg == "reason":
                    texts.append(value.value)
                assert not texts, f"{path.relative_to(package)}:{value.lineno}: {texts}"
