"""The C-STORE receiver: what a sender is told is stored is on the disk, named and noted.

Answers: 0x0000 stored, or here already byte for byte; 0xA700 no room, too large, or the journal is
         locked: send again later; 0xC000 no DICOM, no identifiers, others than announced, or an
         object that this node made itself.
Pixels are not decoded. Storage classes that were not asked for are not negotiated.
"""

import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fourview.dicom.codecs import SUPPORTED
from fourview.dicom.start import EXPLICIT_LITTLE
from fourview.errors import DicomError, NodeError
from fourview.node.journal import Journal
from fourview.node.secure import listening
from fourview.node.settings import NodeSettings
from fourview.node.spool import PART, REFUSED, Facts, free_bytes, keep_image, read_facts

CLASSES = {
    "MG": ("1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1"),
    "SC": (
        "1.2.840.10008.5.1.4.1.1.7",
        *(f"1.2.840.10008.5.1.4.1.1.7.{kind}" for kind in (1, 2, 3, 4)),
    ),
    "DBT": tuple(f"1.2.840.10008.5.1.4.1.1.13.1.{kind}" for kind in (3, 4, 5)),
}
SUCCESS, NO_ROOM, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
PDU_BYTES = 1 << 18  # of the parts that senders may cut a message into
ACSE_S, DIMSE_S, NETWORK_S = 30, 60, 60
LEAVE_S = 10.0  # what associations get to finish when the node ends
CALLED, CALLING, NO_REASON = 0x07, 0x03, 0x01  # PS3.8 9.3.4


class OpenStudies:
    """Studies of which an open association has delivered an image."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_association: dict[int, set[str]] = {}

    def add(self, association: int, study: str) -> None:
        """An association has delivered an image of a study."""
        with self._lock:
            self._by_association.setdefault(association, set()).add(study)

    def ended(self, association: int) -> set[str]:
        """Forget an association; gives its studies that no other one has delivered to."""
        with self._lock:
            gone = self._by_association.pop(association, set())
            return gone - set().union(*self._by_association.values())

    def associations(self) -> set[int]:
        """Those that have delivered something."""
        with self._lock:
            return set(self._by_association)

    def __contains__(self, study: object) -> bool:
        with self._lock:
            return any(study in studies for studies in self._by_association.values())


class _RefusedError(Exception):
    """A status other than Success, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Receiver:
    """A C-STORE service that runs in threads of its own until ``stop``.

    Args:
        settings: Of the node; ``listen`` must not be empty.
        journal: Where images are noted.
        opened: Filled with what open associations have delivered.

    Raises:
        NodeError: pynetdicom is missing, or the place to listen is taken.
    """

    def __init__(self, settings: NodeSettings, journal: Journal, opened: OpenStudies) -> None:
        self.settings, self.journal, self.opened = settings, journal, opened
        self._received: dict[int, int] = {}  # bytes of the message under way, by association
        net, evt = import_pynetdicom()
        net._config.STORE_RECV_CHUNKED_DATASET = True  # to disk part by part: memory stays flat
        tempfile.tempdir = str(journal.folder / PART)  # where it writes them, on the spool's disk
        entity = net.AE(ae_title=settings.ae_title)
        entity.maximum_pdu_size = PDU_BYTES
        entity.maximum_associations = settings.max_associations
        entity.acse_timeout, entity.dimse_timeout = ACSE_S, DIMSE_S
        entity.network_timeout = NETWORK_S
        syntaxes = [EXPLICIT_LITTLE, *sorted(SUPPORTED - {EXPLICIT_LITTLE})]
        entity.add_supported_context("1.2.840.10008.1.1")  # Verification
        for sop_class in (c for name in settings.accept for c in CLASSES[name]):
            entity.add_supported_context(sop_class, syntaxes)
        handlers: list[tuple[Any, Callable[[Any], Any]]] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_PDU_RECV, self._pdu),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
        ]
        assert settings.address is not None
        context = None
        if settings.tls is not None:
            context = listening(settings.tls, lambda why: self._tell_rejected(f"TLS: {why}", ""))
        try:
            self._server = entity.start_server(
                settings.address, block=False, ssl_context=context, evt_handlers=handlers
            )
        except OSError as error:
            raise NodeError(
                f"cannot listen on {settings.listen}: {error}; end what listens there, or change "
                "'listen'"
            ) from error

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Take no new association, let the open ones finish for a while, then end them."""
        self._server.shutdown()
        self._server.server_close()
        until = time.monotonic() + LEAVE_S
        while time.monotonic() < until and any(
            association.is_established for association in self._server.active_associations
        ):
            time.sleep(0.05)
        for association in self._server.active_associations:
            if association.is_established:
                association.abort()
            else:  # connected, and silent: its thread would wait for ACSE_S
                with suppress(OSError, AttributeError):
                    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)

    def forget_gone(self) -> None:
        """Forget associations that ended without an event."""
        alive = {id(association) for association in self._server.active_associations}
        for key in self.opened.associations() - alive:
            self._closed_key(key)

    def _requested(self, event: Any) -> None:
        """Check that the caller may send here; else reject, with the reason in the audit log."""
        association = event.assoc
        request = association.requestor.primitive
        address = association.requestor.address
        called, calling = request.called_ae_title.strip(), request.calling_ae_title.strip()
        callers = [c for c in self.settings.callers if c.ae_title == calling]
        if called != self.settings.ae_title:
            why, diagnostic = "called AE title is not this node's", CALLED
        elif not callers:
            why, diagnostic = "calling AE title is none of the callers", CALLING
        elif not any(c.is_at(address) for c in callers):
            why, diagnostic = "address is none of the caller's", NO_REASON
        else:
            return
        # A title that is not known may hold anything, so only known ones are written down.
        self._tell_rejected(why, calling if callers else "")
        association.acse.send_reject(0x01, 0x01, diagnostic)  # for good, by this node
        association.kill()

    def _accepted(self, event: Any) -> None:
        self._tell("association", caller=_title(event))

    def _rejected(self, event: Any) -> None:
        self._tell_rejected("too many associations", _title(event))

    def _closed(self, event: Any) -> None:
        """Nothing of a message that was cut off stays, and what came whole may be read."""
        key = id(event.assoc)
        self._received.pop(key, None)
        if event.assoc.requestor.primitive is None:  # it never asked: do not wait on for ACSE_S
            event.assoc.dul.to_user_queue.put(None)
        message = getattr(event.assoc.dimse, "message", None)
        path = getattr(message, "_data_set_path", None)
        if isinstance(path, Path):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._closed_key(key)

    def _closed_key(self, key: int) -> None:
        studies = self.opened.ended(key)
        if studies:
            with suppress(sqlite3.OperationalError):  # then they stay "receiving", and are read
                self.journal.receiving_ended(studies)

    def _pdu(self, event: Any) -> None:
        """End a sender that would fill the disk before its message is whole."""
        key = id(event.assoc)
        size = self._received.get(key, 0) + (event.pdu.pdu_length or 0)
        self._received[key] = size
        too_large = size > 2 * self.settings.largest
        if too_large or free_bytes(self.journal.folder) < self.settings.least_free // 2:
            self._received[key] = 0
            why = "more than twice the largest file" if too_large else "no room on the disk"
            self._tell("aborted", caller=_title(event), why=why)
            event.assoc.abort()

    def _store(self, event: Any) -> int:
        received = time.monotonic()
        self._received[id(event.assoc)] = 0
        path, caller = Path(event.dataset_path), _title(event)
        try:
            self._require_room(path)
            facts = self._read(path, str(event.request.AffectedSOPInstanceUID))
            self.opened.add(id(event.assoc), facts.study)
            keep_image(self.journal, path, facts, caller=caller, is_open=True, received=received)
        except _RefusedError as refused:
            return self._refuse(refused.status, refused.why, caller)
        except sqlite3.Error:
            return self._refuse(NO_ROOM, "the journal cannot be written", caller)
        except OSError:
            return self._refuse(NO_ROOM, "the disk cannot be written", caller)
        return SUCCESS

    def _require_room(self, path: Path) -> None:
        size = path.stat().st_size
        if size > self.settings.largest:
            raise _RefusedError(NO_ROOM, "larger than the largest file")
        if free_bytes(self.journal.folder) < self.settings.least_free:
            raise _RefusedError(NO_ROOM, "no room on the disk")

    def _read(self, path: Path, announced: str) -> Facts:
        """What an image says of itself, which must be what was announced."""
        try:
            facts = read_facts(path)
        except DicomError as error:
            self._set_aside(path)
            raise _RefusedError(NOT_UNDERSTOOD, type(error).__name__) from error
        if facts.sop != announced:
            raise _RefusedError(NOT_UNDERSTOOD, "another instance than announced")
        if self.journal.is_result(facts.sop):
            raise _RefusedError(NOT_UNDERSTOOD, "an object of this node, come back")
        return facts

    def _set_aside(self, path: Path) -> None:
        """Keep what was no DICOM for a day, for whoever looks into it."""
        with suppress(OSError):
            shutil.copyfile(path, self.journal.folder / REFUSED / path.name)

    def _refuse(self, status: int, why: str, caller: str) -> int:
        self._tell("refused", caller=caller, status=f"{status:04X}", why=why)
        return status

    def _tell_rejected(self, why: str, caller: str) -> None:
        self._tell("rejected", why=why, **({"caller": caller} if caller else {}))

    def _tell(self, what: str, **facts: Any) -> None:
        with suppress(sqlite3.Error):  # a full disk: the answer to the sender matters more
            self.journal.tell(what, **facts)


def import_pynetdicom() -> tuple[Any, Any]:
    """The package and its events, or one line on what to install.

    Raises:
        NodeError: It is not installed.
    """
    try:
        import pynetdicom  # noqa: PLC0415 - an extra
        from pynetdicom import evt  # noqa: PLC0415
    except ImportError as error:
        raise NodeError(
            "the node needs the package pynetdicom; run: pip install 'fourview[pacs]'"
        ) from error
    return pynetdicom, evt


def _title(event: Any) -> str:
    return str(event.assoc.requestor.ae_title).strip()
