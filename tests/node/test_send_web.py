"""Answers of STOW-RS, and headers from a file."""

import json
from pathlib import Path

import pytest

from fourview.errors import NodeError
from fourview.node.send_web import outcomes, read_headers
from fourview.report.dicom.source import Instance

A, B = Path("a.dcm"), Path("b.dcm")


KNOWN = {path: Instance("c", f"1.2.{path.stem}", "1", "1.5", "s") for path in (A, B)}


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
