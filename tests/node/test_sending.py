"""What becomes of a delivery after each answer, and what a STOW server's answer says."""

import json
from pathlib import Path

import pytest

from fourview.errors import NodeError
from fourview.node.deliver import next_of
from fourview.node.send_web import outcomes, read_headers
from fourview.node.sent import Sent, of_status
from fourview.report.dicom.source import Instance

A, B = Path("a.dcm"), Path("b.dcm")
KNOWN = {path: Instance("c", f"1.2.{path.stem}", "1", "1.5", "s") for path in (A, B)}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, "sent"),
        (0xB000, "sent"),
        (0xB006, "sent"),
        (0xB007, "sent"),
        (0xA700, "unanswered"),
        (0xA7FF, "unanswered"),
        (0xA900, "refused"),
        (0xC000, "refused"),
        (0x0122, "refused"),
        (0x0124, "refused"),
    ],
)
def test_a_status_of_c_store(status, outcome):
    assert of_status(status).outcome == outcome


def following(outcome, attempts, waited_s=0.0, give_up_s=86_400.0, share=0.5):
    return next_of(
        Sent(outcome), attempts=attempts, waited_s=waited_s, give_up_s=give_up_s, share=share
    )


def test_waits_double_up_to_five_minutes_within_a_fifth():
    waits = [following("unanswered", tries).wait_s for tries in range(12)]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]
    assert following("unanswered", 0, share=0).wait_s == pytest.approx(1.6)
    assert following("unanswered", 0, share=1).wait_s == pytest.approx(2.4)


def test_a_dead_peer_is_given_up_only_after_the_time_for_it():
    assert following("unanswered", 40, waited_s=99.9, give_up_s=100).state == "waiting"
    assert following("unanswered", 40, waited_s=99.9, give_up_s=100).wait_s == pytest.approx(0.1)
    assert following("unanswered", 3, waited_s=100, give_up_s=100).state == "failed"


def test_a_refusal_is_believed_at_the_third_time():
    states = [following("refused", tries).state for tries in range(3)]
    assert states == ["waiting", "waiting", "failed"]


def failed(*pairs):
    items = [
        {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [why]}}
        for uid, why in pairs
    ]
    return json.dumps({"00081198": {"vr": "SQ", "Value": items}}).encode()


def test_a_stow_answer_settles_each_object():
    assert {s.outcome for s in outcomes(200, b"", KNOWN).values()} == {"sent"}
    told = outcomes(202, failed(("1.2.b", 0xA700)), KNOWN)
    assert (told[A].outcome, told[B].outcome) == ("sent", "unanswered")
    told = outcomes(409, failed(("1.2.a", 0x0122), ("1.2.b", 0xA900)), KNOWN)
    assert {s.outcome for s in told.values()} == {"refused"}
    assert told[A].status == "HTTP 409 0122"


@pytest.mark.parametrize("content", [b"", b"<xml/>", b"[]", b'{"00081198": 3}', b"[" * 5000])
def test_an_answer_that_cannot_be_read_never_counts_as_stored(content):
    told = outcomes(409, content, KNOWN)
    assert {s.outcome for s in told.values()} == {"refused"}
    told = outcomes(503, content, KNOWN)
    assert {s.outcome for s in told.values()} == {"unanswered"}


def test_headers_come_from_a_file_and_stay_out_of_messages(tmp_path):
    path = tmp_path / "headers"
    path.write_text("Authorization: Bearer abc:def\n\nX-Site: 7\n")
    assert read_headers(path) == {"Authorization": "Bearer abc:def", "X-Site": "7"}
    path.write_text("a secret without its colon\n")
    with pytest.raises(NodeError) as error:
        read_headers(path)
    assert "secret" not in str(error.value)
