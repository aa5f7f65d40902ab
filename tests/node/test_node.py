"""One node, a sender and an archive: what goes in, what comes back, and what is refused."""

import shutil
import socket
import threading
from datetime import datetime

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom_examples import with_view
from dicom_output_examples import exam_in, prediction_of
from fourview.report.dicom.options import DicomOptions
from fourview.report.dicom.write import write_dicom
from node_examples import (
    CAD_SR,
    Archive,
    Held,
    Node,
    store,
    study_uid,
    wait_for,
    write_extra,
    write_study,
)

OBJECTS = 6  # a CAD SR, four presentation states, a picture
QUIET_S = 0.5


@pytest.fixture(scope="module")
def archive():
    with Archive().listening() as archive:
        yield archive


@pytest.fixture(scope="module")
def node(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    with Node(folder, archives=[archive], quiet_s=QUIET_S, read_s=120).running() as node:
        yield node


def state(node, number):
    from fourview.node.journal import Journal  # noqa: PLC0415

    return Journal(node.spool).state_of(study_uid(number))


def wait_for_reports(node, archive, number, count=1):
    wait_for(lambda: len(archive.reports(study_uid(number))) >= count, f"report {number}")
    wait_for(lambda: set(node.status()["deliveries"]) <= {"sent", "failed"}, "all to be sent")
    return archive.reports(study_uid(number))


def of_study(archive, number):
    return [d for d in archive.kept.values() if d.StudyInstanceUID == study_uid(number)]


def test_a_study_comes_back_as_the_objects_that_read_writes(node, archive, tmp_path):
    files = write_study(tmp_path / "study", 1)
    assert store(node.port, files) == [0] * 4
    wait_for_reports(node, archive, 1)
    got = {d.SOPInstanceUID for d in of_study(archive, 1)}
    exam = exam_in(tmp_path / "study")
    (report,) = archive.reports(study_uid(1))
    when = f"{report.ContentDate}{report.ContentTime[:4]}+0000"
    options = DicomOptions(created=datetime.strptime(when, "%Y%m%d%H%M%z"))
    paths = write_dicom(prediction_of(exam), exam, tmp_path / "plain", options=options)
    assert got == {dcmread(path).SOPInstanceUID for path in paths.files}
    assert len(got) == OBJECTS
    plain = dcmread(tmp_path / "plain" / "cad-sr.dcm")
    assert report.to_json() == plain.to_json()


def test_a_study_that_is_sent_ten_times_is_read_once(node, archive, tmp_path):
    files = write_study(tmp_path / "study", 2)
    store(node.port, files)
    wait_for_reports(node, archive, 2)
    for _ in range(10):
        assert store(node.port, files) == [0] * 4
    threading.Event().wait(QUIET_S + 0.5)
    assert state(node, 2) == "done"
    assert len(of_study(archive, 2)) == OBJECTS
    assert {archive.times[d.SOPInstanceUID] for d in of_study(archive, 2)} == {1}


def test_a_late_image_gives_a_second_report_that_names_the_first(node, archive, tmp_path):
    store(node.port, write_study(tmp_path / "study", 3))
    (first,) = wait_for_reports(node, archive, 3)
    assert store(node.port, [write_extra(tmp_path / "more", 3)]) == [0]
    _, second = wait_for_reports(node, archive, 3, 2)
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first


def test_nothing_is_read_while_an_association_is_open(node, archive, tmp_path):
    files, held = write_study(tmp_path / "study", 4), Held()
    thread = threading.Thread(
        target=store, args=(node.port, files), kwargs={"pause": held.pause}, daemon=True
    )
    thread.start()
    held.here.wait(30)
    threading.Event().wait(2 * QUIET_S)
    assert state(node, 4) == "receiving"
    held.go.set()
    thread.join()
    wait_for_reports(node, archive, 4)


def test_a_changed_image_takes_the_place_of_the_old_one_and_is_read(node, archive, tmp_path):
    files = write_study(tmp_path / "study", 5)
    store(node.port, files)
    wait_for_reports(node, archive, 5)
    changed = dcmread(files[0])
    changed.PixelData = bytes(len(changed.PixelData))
    assert store(node.port, [changed]) == [0]
    wait_for_reports(node, archive, 5, 2)
    kept = list((node.spool / "in").rglob("*.dcm"))
    assert sum(dcmread(p).SOPInstanceUID == changed.SOPInstanceUID for p in kept) == 1
    assert "changed" in node.event_names()


def test_half_a_study_is_read_and_read_again_with_the_rest(node, archive, tmp_path):
    files = write_study(tmp_path / "study", 6)
    store(node.port, files[:2])
    wait_for_reports(node, archive, 6)
    from fourview.node.journal import Journal  # noqa: PLC0415

    note = Journal(node.spool).db.execute("SELECT note FROM study WHERE study = ?", (study_uid(6),))
    assert note.fetchone()[0] == "not here: R-MLO, L-MLO"
    store(node.port, files[2:])
    wait_for_reports(node, archive, 6, 2)


def test_two_patients_in_one_study_are_two_exams(node, archive, tmp_path):
    def other(dataset):
        dataset.PatientID = "other"
        dataset.SOPInstanceUID += ".2"

    files = write_study(tmp_path / "a", 7) + write_study(tmp_path / "b", 7, edit=other)
    store(node.port, files)
    reports = wait_for_reports(node, archive, 7, 2)
    assert {report.PatientID for report in reports} == {"P7", "other"}


def test_a_study_without_a_mammogram_is_ignored(node, archive, tmp_path):
    files = write_study(tmp_path / "s", 8, edit=lambda d: with_view(d, "127457009"))
    assert store(node.port, files) == [0] * 4
    wait_for(lambda: state(node, 8) == "ignored", "the study to be ignored")
    assert of_study(archive, 8) == []


def test_studies_that_kill_the_worker_fail_and_the_next_is_read(node, archive, tmp_path):
    for number, patient in ((20, "die"), (22, "raise")):
        store(node.port, write_study(tmp_path / patient, number, patient=patient))
    store(node.port, write_study(tmp_path / "good", 23))
    wait_for_reports(node, archive, 23)
    assert [state(node, number) for number in (20, 22)] == ["failed"] * 2
    failures = {f["study"]: f["why"] for f in node.status()["failures"]}
    assert "died" in failures[study_uid(20)]
    assert "a defect" in failures[study_uid(22)]
    told = node.cli("node-status", node.settings)
    assert told.returncode == 1
    assert "2 studies failed" in told.stderr
    assert node.cli("node-retry", node.settings, study_uid(22)).returncode == 0
    for number in (20, 22):
        wait_for(lambda n=number: state(node, n) == "failed", "the study to fail again")
        assert node.cli("node-drop", node.settings, study_uid(number)).returncode == 0
    assert study_uid(20) not in str(node.status())


def test_dropping_forgets_the_files_too(node, archive, tmp_path):
    store(node.port, write_study(tmp_path / "study", 9))
    wait_for_reports(node, archive, 9)
    before = len(list(node.spool.rglob("*.dcm")))
    assert node.cli("node-drop", node.settings, study_uid(9)).returncode == 0
    assert before - len(list(node.spool.rglob("*.dcm"))) == 4 + OBJECTS
    assert state(node, 9) is None
    told = node.cli("node-drop", node.settings, study_uid(9))
    assert (told.returncode, "no study" in told.stderr) == (3, True)


@pytest.mark.parametrize("wrong", [{"called": "OTHER"}, {"calling": "STRANGER"}])
def test_a_wrong_title_is_rejected_and_told(node, tmp_path, wrong):
    before = len(node.events())
    assert store(node.port, write_study(tmp_path / "study", 30), **wrong) == []
    why = wait_for(lambda: [e for e in node.events()[before:] if e["event"] == "rejected"], "it")
    assert next(iter(wrong)) in why[0]["why"]


def test_what_is_not_for_the_node_is_not_negotiated(node, archive, tmp_path):
    store(node.port, write_study(tmp_path / "study", 10))
    (report,) = wait_for_reports(node, archive, 10)
    assert report.SOPClassUID == CAD_SR
    assert store(node.port, [report]) == []  # no context was accepted, so no association


def test_what_cannot_be_understood_is_refused_and_kept_for_a_day(node, tmp_path):
    files = write_study(tmp_path / "study", 31)
    nameless, misnamed, ok = (dcmread(file) for file in files[:3])
    del nameless.StudyInstanceUID
    misnamed[0x0020000D] = RawDataElement(  # as the wire may have it
        Tag(0x0020000D), "UI", 16, b"../../etc/passwd", 0, False, True
    )
    assert store(node.port, [nameless, misnamed, ok]) == [0xC000, 0xC000, 0]
    assert len(list((node.spool / "refused").iterdir())) >= 2
    assert store(node.port, files) == [0] * 4


def test_garbage_on_the_port_does_no_harm(node, tmp_path):
    for data in (b"GET / HTTP/1.0\r\n\r\n", b"\x01\0" + b"\xff" * 2000, b""):
        with socket.create_connection(("127.0.0.1", node.port), 5) as peer:
            peer.sendall(data)
    assert store(node.port, write_study(tmp_path / "study", 32)) == [0] * 4


def test_a_second_node_on_the_folder_is_refused(node):
    told = node.cli("node", node.settings)
    assert told.returncode == 3
    assert "cannot listen" in told.stderr or "already running" in told.stderr
    own = node.folder / "own.toml"
    own.write_text(node.settings.read_text().replace(f":{node.port}", ":0"))
    told = node.cli("node", own)
    assert told.returncode == 3
    assert f"already running (pid {node.process.pid})" in told.stderr


def test_the_audit_log_and_standard_error_name_nobody(node, archive, tmp_path):
    store(node.port, write_study(tmp_path / "study", 33, patient="VERYSECRET"))
    wait_for_reports(node, archive, 33)
    wait_for(lambda: node.events()[-1]["event"] == "sent", "the log")
    written = (node.spool / "audit.jsonl").read_bytes() + (node.folder / "log.txt").read_bytes()
    for secret in (b"VERYSECRET", b"Doe", b"Jane", study_uid(33).encode(), b"1.2.826.0.1.3680043"):
        assert secret not in written
    assert [p for p in node.spool.rglob("*") if p.stat().st_mode & 0o077] == []


def test_names_below_the_spool_tell_nobody(node):
    names = "\n".join(str(p.relative_to(node.spool)) for p in node.spool.rglob("*"))
    assert "1.2.826" not in names
    assert "P1" not in names


def test_sending_files_by_hand(node, tmp_path):
    written = sorted((node.spool / "out").rglob("cad-sr.dcm"))[0]
    copy = shutil.copy(written, tmp_path / "report.dcm")
    text = tmp_path / "note.dcm"
    text.write_text("no DICOM")
    told = node.cli("send", copy, "--to", "archive", "--config", node.settings)
    assert (told.returncode, "sent 0000" in told.stdout) == (0, True)
    told = node.cli("send", copy, text, "--to", "archive", "--config", node.settings)
    assert told.returncode == 1
    assert "note.dcm: refused" in told.stdout
    told = node.cli("send", copy, "--to", "archiv", "--config", node.settings)
    assert (told.returncode, "did you mean 'archive'" in told.stderr) == (2, True)


def test_sigterm_ends_the_node_with_0(node):
    with socket.create_connection(("127.0.0.1", node.port)):  # a peer that says nothing
        assert node.stop() == 0
    assert node.event_names()[-1] == "stop"
    node.start()
    assert node.status()["pid"] == str(node.process.pid)
