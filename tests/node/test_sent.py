"""What an answer to a sent object means."""

import pytest

from fourview.node.sent import of_status


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
