"""A worker that imports next to nothing: two objects whose UIDs depend on what real ones do."""

import os
import struct
import time
import uuid
from pathlib import Path

from fourview.node.job import Answer, Job
from fourview.node.rows import Made

CLASSES = {"cad-sr": "1.2.840.10008.5.1.4.1.1.88.50", "sc": "1.2.840.10008.5.1.4.1.1.7"}
EXPLICIT = "1.2.840.10008.1.2.1"


def answer(job: Job) -> Answer:
    if not job.files:
        return Answer(outcome="ready", digests=("ab" * 32,))
    time.sleep(float(os.environ.get("QUICK_READ_S", "0")))
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    return Answer(outcome="done", exams=1, made=tuple(_made(job, kind) for kind in CLASSES))


def _made(job: Job, kind: str) -> Made:
    what = f"{kind} {job.key} {int(job.created_at)}"
    sop = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, what).int}"
    (Path(job.folder) / f"{kind}.dcm").write_bytes(_file(CLASSES[kind], sop, job.study))
    return Made(
        sop=sop, kind=kind, exam="e", file=f"{kind}.dcm", sop_class=CLASSES[kind], series="2.25.7"
    )


def _file(sop_class: str, sop: str, study: str) -> bytes:
    meta = _uid(2, 2, sop_class) + _uid(2, 3, sop) + _uid(2, 0x10, EXPLICIT) + _uid(2, 0x12, "2.25")
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    rest = _uid(8, 0x16, sop_class) + _uid(8, 0x18, sop)
    rest += _uid(0x20, 0xD, study) + _uid(0x20, 0xE, "2.25.7")
    return bytes(128) + b"DICM" + length + meta + rest


def _uid(group: int, element: int, text: str) -> bytes:
    value = text.encode() + b"\0" * (len(text) % 2)
    return struct.pack("<HH2sH", group, element, b"UI", len(value)) + value
