"""Fetch studies from a DICOMweb server: QIDO asks what there is, WADO fetches what is missing.

Asked:   studies with mammograms of the last days, their MG series with how many images each has
         (0020,1209); the study's own count would include results that were sent there.
Fetched: each missing image by itself, in the transfer syntax in which the server keeps it.
Due:     a study is read at once when two rounds gave the same number and all are here.
"""

import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from fourview.errors import DicomError, NodeError
from fourview.node.journal import Journal
from fourview.node.send_web import web_session
from fourview.node.settings import NodeSettings, Pull
from fourview.node.spool import PART, free_bytes, keep_image, read_facts, uid

TIMEOUT_S = 60.0
TRIES = 3
STUDY, SERIES, SOP, CLASS = "0020000D", "0020000E", "00080018", "00080016"
MODALITY, COUNT = "00080060", "00201209"
ORIGINAL = (("application/dicom", "*"),)  # else servers transcode to explicit little endian
MOST_STUDIES = 10_000  # rows of one search
MOST_FAILED = 3  # studies in a row, before a round is given up
PAGE = 500  # rows of one request


class Puller:
    """A thread that asks one server every now and then, until ``stop``.

    Raises:
        NodeError: dicomweb-client is missing, or the file of headers cannot be used.
    """

    def __init__(
        self, pull: Pull, settings: NodeSettings, journal: Journal, stop: threading.Event
    ) -> None:
        self.pull, self.settings, self.journal, self.stop = pull, settings, journal, stop
        self.client = _client(pull, settings)
        self.thread = threading.Thread(target=self._run, name=f"pull-{pull.name}", daemon=True)

    def count(self, study: str) -> int | None:
        """Mammograms that the server has of a study; None where it does not answer."""
        try:
            return sum(number for _, number in self._series(study))
        except Exception:  # noqa: BLE001 (whatever a server or its library does is no answer)
            return None

    def round(self) -> int:
        """Ask once, and fetch what is missing; returns how many images came."""
        came = failed = 0
        for study in self._studies():
            if self.stop.is_set():
                break
            try:
                came += self._study(study)
                failed = 0
            except Exception as error:  # noqa: BLE001 (one study must not keep the others back)
                failed += 1
                self.journal.tell(
                    "pull failed", study, server=self.pull.name, why=type(error).__name__
                )
                if failed >= MOST_FAILED:  # the server is gone: the next round tries again
                    break
        return came

    def _run(self) -> None:
        while not self.stop.is_set():
            self.safe_round()
            self.stop.wait(self.pull.every_s)

    def safe_round(self) -> None:
        """As ``round``; what goes wrong is told, and the next round tries again."""
        try:
            self.round()
        except Exception as error:  # noqa: BLE001 (a thread's edge: servers do anything)
            with suppress(sqlite3.Error):
                self.journal.tell("pull failed", server=self.pull.name, why=type(error).__name__)
            if isinstance(error, sqlite3.Error | OSError):
                traceback.print_exc(file=sys.stderr)

    def _study(self, study: str) -> int:
        """Fetch what is missing of a study, and see whether it is whole."""
        series = list(self._series(study))
        expected = sum(number for _, number in series)
        here = {row["sop"]: row for row in self.journal.images_of(study)}
        came = 0
        # A failed study whose images were deleted is fetched again, so that it can be read.
        if len(here) < expected or any(
            row["file"] is None and self.journal.state_of(study) == "failed"
            for row in here.values()
        ):
            came = self._fetch(study, series, here)
        key = f"pull/{self.pull.name}/{study}"
        before, now_here = self.journal.seen(key), len(here) + came
        if str(expected) != before:
            self.journal.note_seen(key, str(expected))
        elif now_here >= expected > 0:
            self.journal.settle(study)
        return came

    def _fetch(self, study: str, series: list[tuple[str, int]], here: dict[str, Any]) -> int:
        came = bytes_ = 0
        began = time.monotonic()
        for series_uid, _ in series:
            for row in self._instances(study, series_uid):
                sop = uid(_first(row, SOP))
                known = here.get(sop)
                if self.stop.is_set() or (known is not None and known["file"] is not None):
                    continue
                if self.journal.is_result(sop):
                    continue
                if free_bytes(self.journal.folder) < self.settings.least_free:
                    self.journal.tell("refused", server=self.pull.name, why="no room on the disk")
                    return came
                size = self._one(study, series_uid, sop)
                came += size > 0 and known is None
                bytes_ += size
        if bytes_:
            ms = round(1000 * (time.monotonic() - began))
            self.journal.tell(
                "pulled", study, server=self.pull.name, images=came, bytes=bytes_, ms=ms
            )
        return came

    def _one(self, study: str, series: str, sop: str) -> int:
        """Fetch one image; gives its bytes, 0 where it cannot be taken."""
        draft = self.journal.folder / PART / f"pull-{self.pull.name}.dcm"
        began = time.monotonic()
        try:
            dataset = self.client.retrieve_instance(study, series, sop, media_types=ORIGINAL)
            dataset.save_as(draft)
            del dataset
            facts = read_facts(draft)
            if (facts.sop, facts.study) != (sop, study):
                self.journal.tell(
                    "refused", server=self.pull.name, why="another instance than asked for"
                )
                return 0
            size = draft.stat().st_size
            if size > self.settings.largest:
                self.journal.tell(
                    "refused", server=self.pull.name, why="larger than the largest file"
                )
                return 0
            keep_image(
                self.journal, draft, facts, caller=self.pull.name, is_open=False, received=began
            )
        except DicomError as error:
            self.journal.tell("refused", server=self.pull.name, why=type(error).__name__)
            return 0
        else:
            return size
        finally:
            draft.unlink(missing_ok=True)

    def _studies(self) -> Iterator[str]:
        first = date.today() - timedelta(days=self.pull.days - 1)
        filters = {
            "ModalitiesInStudy": "MG",
            "StudyDate": f"{first:%Y%m%d}-{date.today() + timedelta(days=1):%Y%m%d}",
        }
        rows = self._paged(self.client.search_for_studies, search_filters=filters)
        for row in rows:
            with suppress(DicomError):  # an identifier that is not valid
                yield uid(_first(row, STUDY))

    def _series(self, study: str) -> Iterator[tuple[str, int]]:
        """Its series of mammograms, with how many images each has."""
        rows = self._paged(
            self.client.search_for_series,
            study,
            search_filters={"Modality": "MG"},
            fields=["NumberOfSeriesRelatedInstances"],
        )
        for row in rows:
            if _first(row, MODALITY) in (None, "MG"):
                yield uid(_first(row, SERIES)), int(_first(row, COUNT) or 0)

    def _instances(self, study: str, series: str) -> Iterator[Any]:
        return self._paged(self.client.search_for_instances, study, series)

    def _paged(self, search: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """All rows of a search, a page at a time."""
        for offset in range(0, MOST_STUDIES, PAGE):
            rows = search(*args, limit=PAGE, offset=offset, **kwargs)
            yield from rows
            if len(rows) < PAGE:
                return


def _client(pull: Pull, settings: NodeSettings) -> Any:
    try:
        from dicomweb_client import DICOMwebClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NodeError(
            "pulling needs the package dicomweb-client; run: pip install 'fourview[pacs]'"
        ) from error
    client = DICOMwebClient(
        pull.url.rstrip("/"),
        session=web_session(pull, settings),
        timeout=TIMEOUT_S,
        permissive_uid=True,  # ``spool.uid`` has checked them
    )
    client.set_http_retry_params(retry=True, max_attempts=TRIES)
    return client


def _first(row: Any, tag: str) -> Any:
    """The first value of an attribute in DICOM JSON; None where it has none."""
    values = row.get(tag, {}).get("Value") or [None]
    return values[0]
