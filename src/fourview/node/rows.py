"""What the journal is told and tells: images, results, results to send; and how they are named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Row

from fourview.fingerprint import digest_of_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An image that is on the disk, to be noted down.

    Attributes:
        file: Below the spool.
        slot: Its standard view, such as R-CC; None where it has none.
        caller: AE title of who sent it, or name of the pull.
        is_open: Whether the association that delivered it is still open.
    """

    sop: str
    study: str
    series: str | None
    file: str
    sha256: str
    bytes: int
    sop_class: str
    syntax: str
    slot: str | None
    caller: str
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An object that a reading gave; ``file`` is below the spool, ``exam`` tells patients apart."""

    sop: str
    kind: str
    exam: str
    file: str
    sop_class: str
    series: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A result to be sent to one destination."""

    sop: str
    study: str
    destination: str
    file: str
    sop_class: str
    attempts: int
    waited_s: float


def input_key(images: Iterable[Row], about: Sequence[str]) -> str:
    """Names what a reading is of: images' bytes, models, kinds of object and the encoder."""
    lines = [f"{row['sop']} {row['sha256']}" for row in images]
    return digest_of_text("\n".join([*sorted(lines), *about]))


def place_of(study: str) -> str:
    """The folder of a study below in/ and out/: a hash, so no text of a header names a file."""
    name = digest_of_text(study)[:32]
    return f"{name[:2]}/{name}"


def file_of(study: str, sop: str, sha256: str = "") -> str:
    """Where an image lies below the spool; ``sha256`` tells a changed one from its older self."""
    mark = f"-{sha256[:8]}" if sha256 else ""
    return f"in/{place_of(study)}/{digest_of_text(sop)[:32]}{mark}.dcm"
