"""What came of sending one object, whatever the protocol."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome for one file.

    Attributes:
        outcome: sent; refused (the peer does not want it); unanswered (no connection, no answer, or
            no room there: another try may help).
        status: As the peer gave it, such as A700 or HTTP 409; "" where it gave none.
        detail: One sentence for people; never of a header.
    """

    outcome: Literal["sent", "refused", "unanswered"]
    status: str = ""
    detail: str = ""


NO_ROOM = range(0xA700, 0xA800)
WARNINGS = (0xB000, 0xB006, 0xB007)  # PS3.4 B.2.3: stored, with a remark


def of_status(status: int) -> Sent:
    """What a C-STORE status, or the Failure Reason of a STOW answer, means."""
    word = f"{status:04X}"
    if status == 0 or status in WARNINGS:
        return Sent("sent", word)
    if status in NO_ROOM:
        return Sent("unanswered", word, "the peer has no room")
    return Sent("refused", word, "the peer refused the object")
