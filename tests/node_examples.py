"""A node in a process of its own, studies to send to it, and a peer that takes its results."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pynetdicom
from pydicom import dcmread
from pynetdicom import AE, evt

from dicom_examples import ROOT
from dicom_output_examples import NAMES, write_exam
from fourview.node.rows import Arrival, file_of

HERE = Path(__file__).parent
MG = "1.2.840.10008.5.1.4.1.1.1.2"
CAD_SR = "1.2.840.10008.5.1.4.1.1.88.50"
EXPLICIT = "1.2.840.10008.1.2.1"
WAIT_S = 60.0

SETTINGS = """
[node]
folder = "spool"
listen = "127.0.0.1:{port}"
quiet_s = {quiet_s}
early_s = {early_s}
read_s = {read_s}
least_free = "1 MB"
{more}
[[node.callers]]
ae_title = "MODALITY"
addresses = ["127.0.0.0/8"]
{tables}
"""
ARCHIVE = """
[[node.destinations]]
name = "{name}"
kind = "dimse"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(condition, what: str, limit_s: float = WAIT_S):
    """The condition's value once it is true."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {limit_s:g} s for {what}")


def write_study(folder: Path, number: int, names=NAMES, *, patient: str = "", edit=None) -> list:
    """Files of a study of its own UID, patient and images."""

    def change(dataset):
        dataset.StudyInstanceUID = study_uid(number)
        dataset.SeriesInstanceUID = f"{ROOT}.2.{number}"
        dataset.SOPInstanceUID = f"{ROOT}.3.{number}.{dataset.SOPInstanceUID.rpartition('.')[2]}"
        dataset.PatientID = patient or f"P{number}"
        if edit is not None:
            edit(dataset)

    return list(write_exam(folder, names, edit=change).values())


def write_extra(folder: Path, number: int) -> Path:
    """A fifth image of the study: a second R-CC."""

    def change(dataset):
        dataset.StudyInstanceUID = study_uid(number)
        dataset.SeriesInstanceUID = f"{ROOT}.2.{number}"
        dataset.SOPInstanceUID = f"{ROOT}.3.{number}.9"
        dataset.PatientID = f"P{number}"

    return write_exam(folder, ("R-CC",), edit=change)["R-CC"]


def study_uid(number: int) -> str:
    return f"{ROOT}.1.{number}"


def store(port: int, files, *, calling="MODALITY", called="FOURVIEW", tls=None, pause=None) -> list:
    """Send files in one association; the statuses, None for no answer. [] where it was refused."""
    entity = AE(ae_title=calling)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = 10
    datasets = [dcmread(file) if isinstance(file, Path) else file for file in files]
    for sop_class, syntax in sorted(
        {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}
    ):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls)
    if not association.is_established:
        return []
    statuses = []
    for dataset in datasets:
        try:
            statuses.append(association.send_c_store(dataset).get("Status"))
        except ValueError:  # its class was not negotiated
            statuses.append("not negotiated")
        except RuntimeError:  # the association is gone
            statuses.append(None)
    if pause is not None:
        pause()
    if association.is_established:
        association.release()
    return statuses


@dataclass
class Archive:
    """A peer that keeps what it is sent; ``answers`` are given first, then Success.

    Attributes:
        kept: Data sets by SOP instance.
        times: How often each instance came.
    """

    port: int = field(default_factory=free_port)
    answers: list = field(default_factory=list)
    kept: dict = field(default_factory=dict)
    times: dict = field(default_factory=dict)
    at: list = field(default_factory=list)
    syntaxes: tuple = (EXPLICIT,)

    def take(self, event):
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.at.append(time.monotonic())
        if self.answers:
            answer = self.answers.pop(0)
            if answer == "break":
                event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
                return 0xC000
            if answer:
                return answer
        self.kept[str(dataset.SOPInstanceUID)] = dataset
        self.times[str(dataset.SOPInstanceUID)] = self.times.get(dataset.SOPInstanceUID, 0) + 1
        return 0x0000

    @contextlib.contextmanager
    def listening(self):
        entity = AE(ae_title="ARCHIVE")
        for context in pynetdicom.StoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, list(self.syntaxes))
        server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self.take)]
        )
        try:
            yield self
        finally:
            server.shutdown()

    def reports(self, study: str) -> list:
        """CAD SRs of a study in the order in which they came."""
        return [
            d for d in self.kept.values() if d.SOPClassUID == CAD_SR and d.StudyInstanceUID == study
        ]


class Node:
    """``fourview node`` with a worker that needs no network, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        archives=(),
        quiet_s=0.5,
        early_s=0,
        read_s=20,
        more="",
        tables="",
        port=None,
        script="quick_node.py",
    ):
        self.folder, self.port = folder, port or free_port()
        self.spool = folder / "spool"
        self.settings = folder / "node.toml"
        self.script = script
        tables += "".join(
            ARCHIVE.format(name=f"archive{n or ''}", port=a.port) for n, a in enumerate(archives)
        )
        self.settings.write_text(
            SETTINGS.format(
                port=self.port,
                quiet_s=quiet_s,
                early_s=early_s,
                read_s=read_s,
                more=more,
                tables=tables,
            )
        )
        self.process = None

    def environment(self, **more) -> dict:
        path = f"{HERE.parent / 'src'}:{HERE}:{HERE / 'node'}"
        return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}

    def start(self, *, wait=True, **environment) -> "Node":
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "node" / self.script), str(self.settings)],
                stderr=log,
                env=self.environment(**environment),
            )
        if wait:
            wait_for(lambda: self.listens() or self.process.poll() is not None, "the node", 240)
            assert self.process.poll() is None, (self.folder / "log.txt").read_text()
        return self

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        if self.is_alive():
            assert self.stop() == 0

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    @contextlib.contextmanager
    def running(self, **environment):
        self.start(**environment)
        try:
            yield self
        finally:
            if self.process.poll() is None:
                self.stop()

    def cli(self, *arguments) -> subprocess.CompletedProcess:
        """A command of ``fourview`` on this node's settings."""
        return subprocess.run(
            [
                sys.executable,
                "-c",
                "from fourview.cli.main import main; main()",
                *map(str, arguments),
            ],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=120,
            check=False,
        )

    def status(self) -> dict:
        from fourview.node.settings import read_settings  # noqa: PLC0415 - after the tests' hooks
        from fourview.node.status import status_of  # noqa: PLC0415

        return status_of(read_settings(self.settings)).as_json()

    def states(self) -> dict:
        return self.status()["studies"]

    def events(self) -> list:
        path = self.spool / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def event_names(self) -> list:
        return [event["event"] for event in self.events()]

    def is_quiet(self, done: int) -> bool:
        """Whether so many studies are done, and all results are sent."""
        status = self.status()
        return (
            status["studies"].get("done") == done
            and set(status["studies"]) == {"done"}
            and set(status["deliveries"]) <= {"sent"}
        )


class ForkedNode(Node):
    """Starts in a moment, from a process that has imported everything; two objects a study."""

    def __init__(self, folder: Path, **more):
        super().__init__(folder, **more)
        with (folder / "log.txt").open("a") as log:
            self.parent = subprocess.Popen(
                [sys.executable, str(HERE / "node" / "forked_node.py"), str(self.settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment(),
            )
        self.pid = 0

    def start(self, *, wait=True, **environment) -> "ForkedNode":
        print(json.dumps(environment), file=self.parent.stdin, flush=True)
        self.pid = int(self.parent.stdout.readline())
        if wait:
            wait_for(self.listens, "the node", 240)
        return self

    def is_alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        if self.is_alive():
            os.kill(self.pid, signal.SIGTERM)
            wait_for(lambda: not self.is_alive(), "the node to end", 60)
        self.parent.communicate()


class Held:
    """An association that is open until it is let go."""

    def __init__(self):
        self.here, self.go = threading.Event(), threading.Event()

    def pause(self):
        self.here.set()
        self.go.wait(60)


def arrival(sop="1.1", study="1", sha="aa", slot="R-CC", **more):
    """An image that came."""
    return Arrival(
        sop=sop,
        study=study,
        series="1.5",
        file=file_of(study, sop),
        sha256=sha,
        bytes=10,
        sop_class="1.2.840.10008.5.1.4.1.1.1.2",
        syntax="1.2.840.10008.1.2.1",
        slot=slot,
        caller="PACS",
        **more,
    )
