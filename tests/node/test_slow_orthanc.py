"""The whole loop with a real archive: Debian's Orthanc sends, is pulled from, and is sent to.

The model is the packaged one, the exams are small phantoms in three transfer syntaxes.
"""

import io
from datetime import datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from node_examples import Node, free_port, store, wait_for
from orthanc_examples import Orthanc, own_network, require_orthanc

pytestmark = pytest.mark.slow
RAW, RLE, LOSSLESS = (f"1.2.840.10008.1.2{end}" for end in (".1", ".5", ".4.70"))
PULL = """
[[node.pulls]]
name = "web"
url = "{url}"
every_s = 1
days = 36500
"""
WEB = """
[[node.destinations]]
name = "web"
kind = "web"
url = "{url}"
"""
DIMSE = """
[[node.destinations]]
name = "archive"
kind = "dimse"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture(scope="module")
def network():
    require_orthanc()
    with own_network():
        yield


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    from fourview.phantom.write import write_phantom  # noqa: PLC0415

    out = tmp_path_factory.mktemp("phantom")
    write_phantom(
        out, num_exams=3, seed=5, preset="miniature", rows=600, syntaxes=(RAW, RLE, LOSSLESS)
    )
    return sorted((out / "dicom").iterdir())


def with_orthanc(tmp_path, tables):
    port = free_port()
    orthanc = Orthanc(tmp_path / "orthanc", port)
    text = tables.format(url=orthanc.web, port=orthanc.dicom)
    node = Node(tmp_path, port=port, tables=text, quiet_s=2, read_s=300, script="whole_node.py")
    text = node.settings.read_text().replace('"MODALITY"', '"ARCHIVE"')
    node.settings.write_text(text)
    return orthanc, node


def syntaxes(files):
    return {str(dcmread(f, stop_before_pixels=True).file_meta.TransferSyntaxUID) for f in files}


def compare_with_read(orthanc, study, exam: Path, out: Path) -> None:
    """What came back is what ``fourview read --dicom`` writes with the same time, UIDs included."""
    from fourview.predict.engine import best_engine  # noqa: PLC0415
    from fourview.predict.reader import load_model  # noqa: PLC0415
    from fourview.predict.studies import read_studies  # noqa: PLC0415
    from fourview.report.dicom.options import DicomOptions  # noqa: PLC0415

    series = orthanc.series(study)
    assert {name: len(series[name]) for name in ("SR", "PR", "OT")} == {"SR": 1, "PR": 4, "OT": 1}
    got = {}
    for name in ("SR", "PR", "OT"):
        for instance in series[name]:
            dataset = dcmread(io.BytesIO(orthanc.file(instance)))
            got[dataset.SOPInstanceUID] = dataset
    report = next(d for d in got.values() if d.Modality == "SR")
    when = datetime.strptime(f"{report.ContentDate}{report.ContentTime[:4]}+0000", "%Y%m%d%H%M%z")
    reader = load_model(None, engine=best_engine(many=False))
    (read,) = read_studies([exam], reader, out, dicom=DicomOptions(created=when))
    plain = {d.SOPInstanceUID: d for d in map(dcmread, read.dicom.files)}
    assert set(got) == set(plain)
    for uid, dataset in got.items():
        assert dataset.to_json() == plain[uid].to_json()


@pytest.mark.usefixtures("network")
def test_pushed_studies_come_back_as_what_read_writes(exams, tmp_path):
    orthanc, node = with_orthanc(tmp_path, DIMSE)
    with orthanc.running(), node.running():
        studies = [
            {orthanc.add(file) for file in sorted(exam.glob("*.dcm"))}.pop() for exam in exams
        ]
        for study in studies:
            orthanc.push(study)
        wait_for(lambda: node.is_quiet(3), "three studies", 240)
        assert syntaxes((node.spool / "in").rglob("*.dcm")) == {RAW, RLE, LOSSLESS}
        for study, exam in zip(studies, exams, strict=True):
            compare_with_read(orthanc, study, exam, tmp_path / "plain" / exam.name)
        for study in studies:  # sent again, with our results in it: nothing happens
            with pytest.raises(OSError, match="HTTP Error"):  # its SR and PR are not negotiated
                orthanc.push(study)
        assert node.is_quiet(3)


@pytest.mark.usefixtures("network")
def test_pulled_studies_keep_their_syntax_and_results_go_by_stow(exams, tmp_path):
    orthanc, node = with_orthanc(tmp_path, PULL + WEB)
    with orthanc.running():
        studies = [
            {orthanc.add(file) for file in sorted(exam.glob("*.dcm"))}.pop() for exam in exams
        ]
        with node.running():
            wait_for(lambda: node.is_quiet(3), "three studies", 240)
            files = list((node.spool / "in").rglob("*.dcm"))
            assert syntaxes(files) == {RAW, RLE, LOSSLESS}
            plain = {
                d.SOPInstanceUID: d.PixelData
                for exam in exams
                for d in map(dcmread, exam.glob("*.dcm"))
            }
            assert {d.SOPInstanceUID: d.PixelData for d in map(dcmread, files)} == plain
            for study, exam in zip(studies, exams, strict=True):
                compare_with_read(orthanc, study, exam, tmp_path / "plain" / exam.name)
            sent = node.event_names().count("sent")
            assert sent == 18
            late = dcmread(next(exams[0].glob("*.dcm")))
            late.SOPInstanceUID += ".9"
            late.file_meta.MediaStorageSOPInstanceUID = late.SOPInstanceUID
            late.save_as(tmp_path / "late.dcm")
            orthanc.add(tmp_path / "late.dcm")
            wait_for(lambda: len(orthanc.series(studies[0])["SR"]) == 2, "the second report", 120)


@pytest.mark.usefixtures("network")
def test_dcmtk_sends_compressed_images(exams, tmp_path):
    import subprocess  # noqa: PLC0415

    node = Node(tmp_path)
    with node.running():
        for exam, flag in zip(exams, ("-xe", "-xr", "-xs"), strict=True):
            to = ["-aec", "FOURVIEW", "-aet", "MODALITY", "127.0.0.1", str(node.port)]
            files = sorted(map(str, exam.glob("*.dcm")))
            told = subprocess.run(["storescu", flag, *to, *files], capture_output=True, check=False)
            assert told.returncode == 0, told.stderr
        wait_for(lambda: node.is_quiet(3), "three studies", 120)
        assert syntaxes((node.spool / "in").rglob("*.dcm")) == {RAW, RLE, LOSSLESS}
        assert store(node.port, sorted(exams[0].glob("*.dcm")), called="OTHER") == []
