"""Who is in which artefact: identities are planted in headers and looked for in all artefacts.

The table of docs/privacy.md says the same as WHERE here.
"""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dicom_examples import mammogram, with_view, write_mammogram
from fourview.dicom.pseudonyms import Pseudonyms, masked
from fourview.errors import FourviewError
from fourview.manifest.manifest import read_manifest
from fourview.predict.reader import load_model
from fourview.predict.studies import read_studies
from fourview.preprocess.spec import pixel_spec
from fourview.sources.dicom import write_dicom
from fourview.store.prepare import prepare
from mammogram_examples import breast_pixels

DOCS = Path(__file__).parents[2] / "docs" / "privacy.md"
PLANTED = {  # attribute: value
    "PatientID": "PLANTED-ID-77",
    "PatientName": "Plantedname^Ada",
    "PatientBirthDate": "19510203",
    "PatientAge": "071Y",
    "OtherPatientIDs": "PLANTED-OTHER-78",
    "AccessionNumber": "PLANTEDACC79",
    "StudyDate": "20190807",
    "ContentDate": "20190808",
    "InstitutionName": "Planted Hospital",
    "ReferringPhysicianName": "Planteddoctor^Bo",
    "OperatorsName": "Plantedoperator",
    "StudyDescription": "Planted study for Ada",
    "SeriesDescription": "Planted series L CC",
    "DeviceSerialNumber": "PLANTED-SERIAL",
    "PatientComments": "planted comment",
    "ImageComments": "planted image comment",
    "RequestedProcedureDescription": "planted procedure",
}
UIDS = {"StudyInstanceUID": "1.2.77.1", "SOPInstanceUID": "1.2.77.3"}
FILE = "Plantedfile_Ada"
WHERE = {  # what is in which artefact, without --pseudonyms
    "manifest": {
        "PatientID",
        "StudyDate",
        "ContentDate",
        "StudyInstanceUID",
        "SOPInstanceUID",
        "path",
    },
    "store": {"PatientID", "StudyInstanceUID", "SOPInstanceUID"},
    "report": {"PatientID", "StudyInstanceUID", "SOPInstanceUID", "path"},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two views of one breast with planted identities, and a file that cannot be read."""
    root = tmp_path_factory.mktemp("files")
    for number, view in enumerate(("CC", "MLO"), 1):
        code = {"CC": "399162004", "MLO": "399368009"}[view]
        uids = UIDS | {"SOPInstanceUID": f"{UIDS['SOPInstanceUID']}.{number}"}
        dataset = with_view(mammogram(number, view=view, **PLANTED, **uids), code)
        pixels, _ = breast_pixels(208, 160, position=view, seed=number)
        write_mammogram(root / f"{FILE}_{view}.dcm", dataset, stored=pixels.astype(np.int64))
    (root / f"{FILE}_broken.dcm").write_bytes(b"nothing")
    return root


def text_of(folder):
    """All that a folder holds, names too, as one text; tables with every value."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)))
        if path.suffix == ".parquet":
            parts.append(json.dumps(pl.read_parquet(path).to_dicts(), default=str))
        if path.is_file():
            parts.append(path.read_bytes().decode("latin_1"))
    return "\n".join(parts)


def found_in(text):
    there = {name for name, value in (PLANTED | UIDS).items() if value in text}
    return there | ({"path"} if FILE in text else set())


@pytest.fixture(scope="module", params=[None, b"0123456789abcdef"])
def artefacts(request, files, tmp_path_factory):
    """The folders that index, prepare and read write, with and without a key."""
    pseudonyms = None if request.param is None else Pseudonyms(request.param)
    out = tmp_path_factory.mktemp("out")
    write_dicom(files, out / "manifest", pseudonyms=pseudonyms)
    manifest = read_manifest(out / "manifest")
    prepare(manifest, pixel_spec("mvccl-192x96"), out / "store")
    reader = load_model(None)
    done = list(read_studies([files], reader, out / "report", pseudonyms=pseudonyms))
    assert len(done) == 1
    return pseudonyms, out, done[0].prediction


def test_each_artefact_holds_what_the_page_says_and_no_more(artefacts):
    pseudonyms, out, prediction = artefacts
    held = {name: found_in(text_of(out / name)) for name in WHERE}
    if pseudonyms is None:
        assert held == WHERE
        return
    assert held == {"manifest": {"path"}, "store": set(), "report": set()}
    manifest = read_manifest(out / "manifest")
    assert set(manifest.images["patient_id"].drop_nulls()) >= {prediction.patient_id}
    assert set(manifest.exams["exam_id"]) >= {prediction.exam_id}


def test_dates_of_one_patient_move_together_and_ids_depend_on_the_key():
    one, other = Pseudonyms(b"a" * 16), Pseudonyms(b"b" * 16)
    assert one.name("patient", "P1") == one.name("patient", "P1")
    assert (
        len({one.name("patient", "P1"), one.name("exam", "P1"), other.name("patient", "P1")}) == 3
    )
    assert re.fullmatch(r"[0-9a-f]{24}", one.name("patient", "P1"))

    # HMAC-SHA256 as hashlib and RFC 2104 define it, by hand
    def hmac(key, message):
        block = key.ljust(64, b"\0")
        inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
        return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()

    assert one.name("patient", "P1") == hmac(b"a" * 16, b"patient\0P1")[:24]


@pytest.mark.parametrize("size", [0, 15, 5000, None])
def test_a_file_that_is_no_key_is_one_line(tmp_path, size):
    if size is not None:
        (tmp_path / "key").write_bytes(b"k" * size)
    with pytest.raises(FourviewError, match="head -c 32"):
        Pseudonyms.read(tmp_path / "key")


def test_what_a_note_quotes_is_left_out():
    assert masked("PatientID 'O'Brien' names one film") == "PatientID '...' names one film"


@pytest.mark.skipif(not DOCS.exists(), reason="the pages are not beside the tests")
def test_the_page_has_a_row_for_each_artefact():
    text = DOCS.read_text()
    for name in ("manifest", "store", "result.json", "split.json", "predictions", "messages"):
        assert name in text
