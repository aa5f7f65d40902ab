"""STOW-RS to a DICOMweb server: all files of a study in one request, each with its own outcome.

The bytes of the files go out as they are. PS3.18 10.5: 200 stored all, 202 and 409 name those that
were not in Failed SOP Sequence (0008,1198) with a Failure Reason (0008,1197).
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fourview.errors import NodeError, ReportError
from fourview.node.sent import Sent, of_status
from fourview.node.settings import Destination, NodeSettings, Pull
from fourview.report.dicom.source import Instance, read_instance

TIMEOUT_S = 60.0
MAX_ANSWER = 4 << 20  # bytes
FAILED, REASON, INSTANCE = "00081198", "00081197", "00081155"
SOME_FAILED = (202, 409)


def send_web(
    files: Sequence[Path], destination: Destination, settings: NodeSettings
) -> Mapping[Path, Sent]:
    """Send files, study by study.

    Raises:
        NodeError: requests is missing, or the file of headers cannot be used.
    """
    answers: dict[Path, Sent] = {}
    studies: dict[str, dict[Path, Instance]] = {}
    for file in files:
        try:
            each = read_instance(file)
        except ReportError as error:
            answers[file] = Sent("refused", "", f"{file.name}: {str(error).rpartition(': ')[2]}")
        else:
            studies.setdefault(each.study, {})[file] = each
    session = web_session(destination, settings) if studies else None
    for study, known in studies.items():
        assert destination.url is not None
        url = f"{destination.url.rstrip('/')}/studies/{study}"
        answers |= _store(session, url, known)
    return answers


def web_session(part: Destination | Pull, settings: NodeSettings) -> Any:
    """A session of ``requests`` with the headers of ``headers_file`` and the files of TLS.

    Raises:
        NodeError: requests is missing, or the file of headers cannot be used.
    """
    try:
        import requests  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NodeError(
            "DICOMweb needs the packages of an extra; run: pip install 'fourview[pacs]'"
        ) from error
    session = requests.Session()
    session.trust_env = False  # no proxy and no password file is used that nobody named here
    if settings.tls is not None:
        session.verify = str(settings.tls.authority)
        session.cert = (str(settings.tls.certificate), str(settings.tls.key))
    if part.headers_file is not None:
        session.headers.update(read_headers(part.headers_file))
    return session


def read_headers(path: Path) -> dict[str, str]:
    """Read headers from lines such as ``Authorization: Bearer ...``.

    Raises:
        NodeError: A line has no colon; the message does not quote it.
    """
    headers = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            raise NodeError(f"{path}:{number}: need a header as 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


def _store(session: Any, url: str, known: Mapping[Path, Instance]) -> dict[Path, Sent]:
    import requests  # noqa: PLC0415 - an extra

    boundary = secrets.token_hex(16)
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    try:
        answer = session.post(
            url, data=_Body(known, boundary), headers=headers, timeout=TIMEOUT_S, stream=True
        )
        content = answer.raw.read(MAX_ANSWER, decode_content=True)
    except (requests.RequestException, OSError) as error:
        why = f"cannot be reached: {type(error).__name__}"
        return dict.fromkeys(known, Sent("unanswered", "", why))
    return outcomes(answer.status_code, content, known)


class _Body:
    """The body of a request of known length, a file in memory at a time."""

    def __init__(self, files: Iterable[Path], boundary: str) -> None:
        self.files = tuple(files)
        self.before = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self.after = b"\r\n"
        self.end = f"--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        around = (len(self.before) + len(self.after)) * len(self.files) + len(self.end)
        return around + sum(file.stat().st_size for file in self.files)

    def __iter__(self) -> Iterator[bytes]:
        for file in self.files:
            yield from (self.before, file.read_bytes(), self.after)
        yield self.end


def outcomes(code: int, content: bytes, known: Mapping[Path, Instance]) -> dict[Path, Sent]:
    """What a server's answer says of each file."""
    word = f"HTTP {code}"
    if code == 200:
        return dict.fromkeys(known, Sent("sent", word))
    if code in SOME_FAILED:
        failed = _failed(content)
        # A 202 that names none stored all of them, with warnings.
        if failed or (failed is not None and code == 202):
            reasons = {each.instance: failed.get(each.instance) for each in known.values()}
            return {
                file: Sent("sent", word)
                if (reason := reasons[each.instance]) is None
                else _refused(word, reason)
                for file, each in known.items()
            }
    if code in (408, 413, 425, 429) or code >= 500:  # too slow, large, early or many for now
        return dict.fromkeys(known, Sent("unanswered", word, "the server cannot take it now"))
    return dict.fromkeys(known, Sent("refused", word, "the server refused the request"))


def _refused(word: str, reason: int) -> Sent:
    meant = of_status(reason)
    outcome = "refused" if meant.outcome == "sent" else meant.outcome
    return Sent(outcome, f"{word} {reason:04X}", meant.detail)


def _failed(content: bytes) -> dict[str, int] | None:
    """Failure Reason by instance; None where the answer says nothing of instances."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list):
        document = document[0] if document else {}
    if not isinstance(document, dict):
        return None
    reasons = {}
    try:
        for item in document.get(FAILED, {}).get("Value", []):
            instance = item[INSTANCE]["Value"][0]
            reasons[str(instance)] = int(
                item.get(REASON, {}).get("Value", [0x0110])[0]
            )  # processing failure
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    return reasons
