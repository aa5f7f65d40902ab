"""A worker of the node for its benchmark: real objects of a made-up prediction, no network."""

from datetime import UTC, datetime
from pathlib import Path

from fourview.dicom.exams import read_exams
from fourview.entities import BreastPrediction, ExamPrediction, ImagePrediction
from fourview.node.job import Answer, Job
from fourview.node.rows import Made
from fourview.report.dicom.options import DicomOptions
from fourview.report.dicom.source import read_instance
from fourview.report.dicom.write import write_dicom


def answer(job: Job) -> Answer:
    if not job.files:
        return Answer(outcome="ready", digests=("0" * 64,))
    (exam,) = read_exams([Path(file) for file in job.files])
    prediction = ExamPrediction(
        patient_id=exam.patient_id,
        exam_id=exam.exam_id,
        breasts=tuple(BreastPrediction(side=side, score=0.5, findings=()) for side in "RL"),
        images=tuple(
            ImagePrediction(image_id=i.image_id, view=i.view, score=0.5) for i in exam.images
        ),
        model="mvccl:small",
        model_digest="0" * 64,
        pixel_spec="mvccl-192x96 0123456789abcdef",
    )
    created = datetime.fromtimestamp(job.created_at, UTC).replace(microsecond=0)
    options = DicomOptions(kinds=job.objects, created=created)
    made = []
    for file in write_dicom(prediction, exam, job.folder, options=options).files:
        told = read_instance(file)
        made.append(
            Made(
                sop=told.instance,
                kind=file.stem if file.stem == "cad-sr" else file.stem.partition("-")[0],
                exam="only",
                file=file.name,
                sop_class=told.sop_class,
                series=told.series,
            )
        )
    return Answer(outcome="done", exams=1, made=tuple(made))
