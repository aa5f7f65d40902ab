"""A worker of the node that says the same of every exam, without a network.

It hangs, dies or raises where the patient's id says so, and takes QUICK_READ_S seconds.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from dicom_output_examples import prediction_of
from fourview.dicom.exams import read_exams
from fourview.fingerprint import digest_of_text
from fourview.node.job import Answer, Job
from fourview.node.rows import Made
from fourview.report.dicom.options import DicomOptions, Predecessor
from fourview.report.dicom.source import read_instance
from fourview.report.dicom.write import write_dicom


def answer(job: Job) -> Answer:
    if not job.files:
        return Answer(outcome="ready", digests=("ab" * 32,))
    exams = [exam for exam in read_exams([Path(file) for file in job.files]) if exam.images]
    if not exams:
        return Answer(outcome="ignored", detail="no mammogram to read", cause="no mammogram")
    made = []
    for number, exam in enumerate(exams):
        _trouble(exam.patient_id)
        made += _write(job, exam, Path(job.folder) / f"exam-{number}")
    time.sleep(float(os.environ.get("QUICK_READ_S", "0")))
    return Answer(outcome="done", exams=len(exams), made=tuple(made))


def _write(job: Job, exam, folder: Path) -> list[Made]:
    key = digest_of_text(exam.patient_id + exam.exam_id)[:16]
    earlier = {
        kind: Predecessor(sop_class=told[0], sop_instance=told[1], series=told[2])
        for kind, told in job.earlier.get(key, {}).items()
        if kind == "cad-sr"
    }
    options = DicomOptions(
        kinds=job.objects,
        created=datetime.fromtimestamp(job.created_at, UTC).replace(second=0, microsecond=0),
        predecessors=earlier,
    )
    findings = []
    for file in write_dicom(prediction_of(exam), exam, folder, options=options).files:
        told = read_instance(file)
        findings.append(
            Made(
                sop=told.instance,
                kind="cad-sr" if file.stem == "cad-sr" else file.stem.partition("-")[0],
                exam=key,
                file=str(file.relative_to(job.folder)),
                sop_class=told.sop_class,
                series=told.series,
            )
        )
    return findings


def _trouble(patient_id: str) -> None:
    if patient_id.startswith("hang"):
        time.sleep(1000)
    if patient_id.startswith("die"):
        os._exit(9)
    if patient_id.startswith("raise"):
        raise RuntimeError("a defect\nof two lines")
