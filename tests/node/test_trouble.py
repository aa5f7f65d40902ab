"""Peers that fail, disks that fill, clocks that jump: what the node does then, and afterwards."""

import socket
import subprocess
import threading
import time

import pytest
from pydicom import dcmread

from node_examples import (
    MG,
    Archive,
    Held,
    Node,
    free_port,
    store,
    study_uid,
    wait_for,
    write_study,
)


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "study", 1)


@pytest.mark.slow
def test_a_full_peer_is_tried_again_and_the_waits_grow(tmp_path, study):
    full = Archive(answers=[0xA700] * 18)  # six objects, three times
    with full.listening(), Node(tmp_path, archives=[full]).running() as node:
        store(node.port, study)
        wait_for(lambda: node.is_quiet(1), "all to be sent", 60)
        assert set(full.times.values()) == {1}
        retries = [e for e in node.events() if e["event"] == "retry"]
        assert {e["status"] for e in retries} == {"A700"}
        first, second, third, fourth = (full.at[6 * n] for n in range(4))
        assert second - first < third - second < fourth - third


def test_a_peer_that_breaks_off_gets_the_rest_later(tmp_path, study):
    breaks = Archive(answers=[0, 0, "break"])
    with breaks.listening(), Node(tmp_path, archives=[breaks]).running() as node:
        store(node.port, study)
        wait_for(lambda: node.is_quiet(1), "all to be sent", 60)
        assert len(breaks.kept) == 6


@pytest.mark.slow
def test_a_refusal_is_believed_at_the_third_time_and_retried_on_request(tmp_path, study):
    wary = Archive(answers=[0xC000] * 18)
    with wary.listening(), Node(tmp_path, archives=[wary]).running() as node:
        store(node.port, study)
        wait_for(lambda: node.status()["deliveries"] == {"failed": 6}, "the third refusal", 60)
        status = node.status()
        assert "6 results could not be sent" in status["alarms"]
        assert status["failures"][0]["what"] == "sending to archive"
        assert node.cli("node-retry", node.settings, "--failed").returncode == 0
        wait_for(lambda: node.is_quiet(1), "all to be sent")


@pytest.mark.slow
def test_a_dead_peer_holds_up_nobody_and_is_given_up_after_the_time_for_it(tmp_path, study):
    dead, alive = Archive(), Archive()
    with alive.listening():
        node = Node(tmp_path, archives=[dead, alive], more="give_up_s = 4")
        with node.running():
            store(node.port, study)
            wait_for(lambda: len(alive.kept) == 6, "the archive that lives")
            both = {"sent": 6, "waiting": 6}
            wait_for(lambda: node.status()["deliveries"] == both, "the first try")
            assert "archive: " in node.status()["last_trouble"]
            began = time.monotonic()
            wait_for(lambda: node.status()["deliveries"].get("failed") == 6, "the end of trying")
            assert time.monotonic() - began > 1


@pytest.mark.slow
def test_results_go_when_a_peer_is_back(tmp_path, study):
    archive = Archive()
    with Node(tmp_path, archives=[archive]).running() as node:
        store(node.port, study)
        wait_for(lambda: node.status()["last_trouble"], "the first try")
        with archive.listening():
            wait_for(lambda: node.is_quiet(1), "all to be sent")


def test_a_full_disk_is_told_to_the_sender_and_left_behind(tmp_path, small_disk, study):
    disk, enlarge = small_disk  # 256 KiB: the journal fits, and not much more
    more = 'largest = "100 KB"\nkeep_days = 1\n'
    node = Node(tmp_path, more=more)
    text = node.settings.read_text().replace('"spool"', f'"{disk}/spool"')
    node.settings.write_text(text.replace('least_free = "1 MB"', 'least_free = "120 KB"'))
    node.spool = disk / "spool"
    with node.running():
        large = dcmread(study[0])
        large.PixelData = bytes(60_000)
        statuses = []
        for number in range(8):
            large.SOPInstanceUID = f"{study_uid(1)}.{number}"
            large.file_meta.MediaStorageSOPInstanceUID = large.SOPInstanceUID
            statuses += store(node.port, [large]) or [None]
        assert 0xA700 in statuses or None in statuses
        answered = statuses.count(0)
        assert any("free" in alarm for alarm in node.status()["alarms"])
        assert len(list((node.spool / "in").rglob("*.dcm"))) >= answered
        enlarge()
        assert store(node.port, study) == [0] * 4
        assert node.process.poll() is None


@pytest.mark.slow
def test_a_file_that_is_too_large_is_refused(tmp_path, study):
    with Node(tmp_path, more='largest = "5 KB"').running() as node:
        assert store(node.port, study) == [0xA700] * 4
        assert [e["why"] for e in node.events() if e["event"] == "refused"]


@pytest.mark.slow
def test_a_study_that_hangs_the_worker_fails_in_time_and_the_next_is_read(tmp_path):
    with Node(tmp_path, read_s=15).running() as node:
        store(node.port, write_study(tmp_path / "hang", 1, patient="hang"))
        store(node.port, write_study(tmp_path / "good", 2))
        wait_for(lambda: node.status()["studies"] == {"failed": 1, "done": 1}, "both", 90)
        events = {e["event"]: e["at"] for e in node.events()}
        assert "longer than 15 s" in node.status()["failures"][0]["why"]
        assert events["failed"] < events["read"]


@pytest.mark.slow
def test_a_clock_that_is_set_back_or_forward_hurries_nothing(tmp_path, study):
    clock = tmp_path / "clock"
    clock.write_text("0")
    with Archive().listening() as archive:
        node = Node(tmp_path, archives=[archive], quiet_s=4)
        with node.running(CLOCK=str(clock)):
            store(node.port, study[:2])
            clock.write_text("-86400")
            store(node.port, study[2:])
            clock.write_text("86400")
            time.sleep(2)
            assert node.states() in ({"waiting": 1}, {"receiving": 1})
            wait_for(lambda: len(archive.kept) == 6, "the results")


@pytest.mark.slow
def test_more_associations_than_allowed_are_rejected_and_the_others_served(tmp_path, study):
    with Node(tmp_path, more="max_associations = 2").running() as node:
        time.sleep(1)  # for the end of the connection that saw it listen
        held = [Held(), Held()]
        answers = []
        threads = [
            threading.Thread(
                target=lambda h=h: answers.append(store(node.port, study[:1], pause=h.pause))
            )
            for h in held
        ]
        for thread in threads:
            thread.start()
        assert all(h.here.wait(30) for h in held)
        assert store(node.port, study) == []
        for h in held:
            h.go.set()
        for thread in threads:
            thread.join()
        assert answers == [[0], [0]]
        assert store(node.port, study) == [0] * 4
        assert "too many associations" in [e.get("why") for e in node.events()]


@pytest.mark.slow
def test_once_works_off_what_is_there_and_ends(tmp_path, study):
    archive = Archive()
    node = Node(tmp_path, archives=[archive], quiet_s=3)
    with node.running():
        store(node.port, study)
        assert node.stop() == 0
    assert node.states() == {"waiting": 1}
    with archive.listening():
        told = subprocess.run(
            [*node.process.args, "--once"], env=node.environment(), timeout=120, check=False
        )
        assert told.returncode == 0
        assert node.is_quiet(1)
        assert len(archive.kept) == 6


def test_a_port_in_use_and_a_model_that_is_none_are_told_before_listening(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = Node(tmp_path, port=taken.getsockname()[1])
        node.start(wait=False)
        assert node.process.wait(60) == 1
        assert "cannot listen on" in (tmp_path / "log.txt").read_text()
    node = Node(tmp_path, more='models = ["no-such-run"]', port=free_port())
    node.start(wait=False)
    assert node.process.wait(60) == 1
    assert "no-such-run: no such folder" in (tmp_path / "log.txt").read_text()


def certificate(folder, name, *, signer=None):
    """A key and a certificate, signed by itself or by another."""
    key, request, cert = (folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), *subject]
    if signer is None:
        subprocess.run([*make, "-x509", "-out", str(cert)], check=True, capture_output=True)
        return cert, key
    subprocess.run([*make, "-out", str(request)], check=True, capture_output=True)
    signed = ["openssl", "x509", "-req", "-in", request, "-CA", signer[0], "-CAkey", signer[1]]
    signed += ["-CAcreateserial", "-out", cert, "-copy_extensions", "copy"]
    subprocess.run(list(map(str, signed)), check=True, capture_output=True)
    return cert, key


def test_tls_takes_certificates_of_the_authority_and_no_others(tmp_path, study):
    import shutil  # noqa: PLC0415
    import ssl  # noqa: PLC0415

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificates can be made")
    authority = certificate(tmp_path, "authority")
    own = certificate(tmp_path, "node", signer=authority)
    peer = certificate(tmp_path, "peer", signer=authority)
    stranger = certificate(tmp_path, "stranger")
    files = f'certificate = "{own[0]}"\nkey = "{own[1]}"\nauthority = "{authority[0]}"\n'
    node = Node(tmp_path, tables=f"[node.tls]\n{files}")
    node.settings.write_text(node.settings.read_text().replace("127.0.0.1:", "0.0.0.0:"))

    def context(pair):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.load_verify_locations(authority[0])
        if pair is not None:
            tls.load_cert_chain(*pair)
        return tls, "localhost"

    with node.running():
        assert store(node.port, study) == []  # no TLS
        assert store(node.port, study, tls=context(None)) == []
        assert store(node.port, study, tls=context(stranger)) == []
        assert store(node.port, study, tls=context(peer)) == [0] * 4
        why = [e["why"] for e in node.events() if e["event"] == "rejected"]
        assert len([reason for reason in why if reason.startswith("TLS: ")]) >= 3


@pytest.mark.slow
def test_a_sender_that_dies_in_the_middle_leaves_nothing(tmp_path, study):
    from pynetdicom import AE  # noqa: PLC0415

    with Node(tmp_path).running() as node:
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(MG, "1.2.840.10008.1.2.1")
        association = entity.associate("127.0.0.1", node.port, ae_title="FOURVIEW")
        assert association.is_established
        command = half_a_store(dcmread(study[0]))
        association.dul.socket.socket.sendall(command)
        wait_for(lambda: list((node.spool / "part").iterdir()), "the draft")
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        association.abort()
        wait_for(lambda: not list((node.spool / "part").iterdir()), "the draft to go")
        assert node.states() == {}
        assert store(node.port, study) == [0] * 4


def half_a_store(dataset) -> bytes:
    """The bytes of a C-STORE request and of the beginning of its data set."""
    from io import BytesIO  # noqa: PLC0415

    from pynetdicom.dimse_messages import C_STORE_RQ  # noqa: PLC0415
    from pynetdicom.dimse_primitives import C_STORE  # noqa: PLC0415
    from pynetdicom.dsutils import encode  # noqa: PLC0415
    from pynetdicom.pdu import P_DATA_TF  # noqa: PLC0415

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = dataset.SOPClassUID
    request.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    request.DataSet = BytesIO(encode(dataset, False, True))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    parts = []
    for primitive in message.encode_msg(1, 1024):
        pdu = P_DATA_TF()
        pdu.from_primitive(primitive)
        parts.append(pdu.encode())
    return b"".join(parts[:3])
