"""Debian's Orthanc in a network namespace of its own, and what is asked of it.

Orthanc listens on every address for DICOM and cannot be told otherwise, so it runs where there is a
loopback only. The thread that asks for it is moved there with it, and back afterwards.
"""

import ctypes
import json
import os
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_examples import free_port, wait_for

PLUGINS = Path("/usr/share/orthanc/plugins")
CLONE_NEWNET = 0x40000000
NEEDED = ("Orthanc", "storescu", "ip")
INSTALL = "apt-get install orthanc orthanc-dicomweb dcmtk iproute2"


def require_orthanc() -> None:
    """Skip where a program is missing; fail where CI says that all must be there."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if not (PLUGINS / "libOrthancDicomWeb.so").exists() and "Orthanc" not in missing:
        missing.append("the DICOMweb plugin of Orthanc")
    if missing:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell(f"not installed: {', '.join(missing)} ({INSTALL})")
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")


@contextmanager
def own_network():
    """This thread, and all that it starts, in a network that has a loopback only."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            pytest.skip(f"no network namespace here: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


class Orthanc:
    """A running archive with its own database."""

    def __init__(self, folder: Path, node_port: int):
        self.folder, self.node_port = folder, node_port
        self.http, self.dicom = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.web = f"{self.url}/dicom-web"

    @contextmanager
    def running(self):
        (self.folder / "db").mkdir(parents=True)
        settings = {
            "Name": "pacs",
            "StorageDirectory": str(self.folder / "db"),
            "IndexDirectory": str(self.folder / "db"),
            "Plugins": [str(PLUGINS)],
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": True,
            "DicomAet": "ARCHIVE",
            "DicomPort": self.dicom,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": {"fourview": ["FOURVIEW", "127.0.0.1", self.node_port]},
            "StableAge": 3,
            "OverwriteInstances": True,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        with (self.folder / "orthanc.log").open("w") as log:
            process = subprocess.Popen(["Orthanc", str(path)], stdout=log, stderr=log)
        try:
            wait_for(self._is_up, "Orthanc")
            yield self
        finally:
            process.terminate()
            process.wait(20)

    def _is_up(self) -> bool:
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    def get(self, path: str):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.loads(answer.read())

    def file(self, instance: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/instances/{instance}/file", timeout=30) as answer:
            return answer.read()

    def post(self, path: str, data: bytes):
        request = urllib.request.Request(self.url + path, data=data, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def add(self, file: Path) -> str:
        """Upload a file; the id of its study."""
        return self.post("/instances", file.read_bytes())["ParentStudy"]

    def push(self, study: str) -> None:
        """Send a study to the node."""
        body = {"Resources": [study], "Synchronous": True}
        self.post("/modalities/fourview/store", json.dumps(body).encode())

    def series(self, study: str) -> dict:
        """Instances by modality."""
        by_kind: dict = {}
        for each in self.get(f"/studies/{study}/series"):
            by_kind.setdefault(each["MainDicomTags"]["Modality"], []).extend(each["Instances"])
        return by_kind
