"""What a worker process of the node does with a study: the only part of the node with torch."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from fourview.dicom.apart import start_decoder
from fourview.dicom.header import read_header
from fourview.entities import Exam
from fourview.errors import DicomError, ExamError, FourviewError
from fourview.fingerprint import digest_of_text
from fourview.node.job import Answer, Job
from fourview.node.rows import Made
from fourview.predict.engine import best_engine
from fourview.predict.reader import Reader, load_model
from fourview.predict.studies import Read, read_studies
from fourview.report.dicom.options import DicomOptions, Predecessor
from fourview.report.dicom.result_file import CREATED
from fourview.report.dicom.source import read_instance


def answer(job: Job) -> Answer:
    """Read a study, or load the models where the job names no files."""
    try:
        reader = _reader(job.models)
    except FourviewError as error:
        return Answer(outcome="failed", detail=str(error), cause="model")
    digests = tuple(network.card.digest for network in reader.networks)
    if not job.files:
        start_decoder()
        return Answer(outcome="ready", digests=digests)
    return _read_safely(job, reader, digests)


def _read_safely(job: Job, reader: Reader, digests: tuple[str, ...]) -> Answer:
    files = [Path(file) for file in job.files]
    try:
        done = list(_read(job, files, reader))
    except ExamError as error:
        if _has_mammogram(files):
            return Answer(outcome="failed", detail=str(error), cause="damaged")
        return Answer(outcome="ignored", detail=str(error), cause="no mammogram")
    except FourviewError as error:
        return Answer(outcome="failed", detail=str(error), cause=type(error).__name__)
    trouble = next((each.dicom_trouble for each in done if each.dicom_trouble), "")
    made = [one for each in done for one in _made(each, Path(job.folder))]
    if trouble and not made:
        return Answer(outcome="failed", detail=trouble, cause="no objects")
    parts = [f"{len(done)} exams in one study" if len(done) > 1 else "", trouble]
    detail = "; ".join(part for part in parts if part)
    return Answer(outcome="done", detail=detail, digests=digests, exams=len(done), made=tuple(made))


@lru_cache(maxsize=1)
def _reader(models: tuple[str, ...]) -> Reader:
    return load_model([Path(model) for model in models] or None, engine=best_engine(many=False))


def _read(job: Job, files: Sequence[Path], reader: Reader) -> list[Read]:
    # As exact as the report prints it, so that result.json gives the same objects again.
    created = datetime.fromtimestamp(job.created_at, UTC).replace(second=0, microsecond=0)
    options = DicomOptions(kinds=job.objects, created=created)

    def of_exam(exam: Exam) -> DicomOptions:
        earlier = job.earlier.get(exam_key(exam.patient_id, exam.exam_id), {})
        predecessors = {
            kind: Predecessor(sop_class=sop_class, sop_instance=sop, series=series)
            for kind, (sop_class, sop, series) in earlier.items()
            if kind in ("cad-sr", "sr1500")  # only reports name the one they replace
        }
        return replace(options, predecessors=predecessors)

    return list(
        read_studies(
            files,
            reader,
            Path(job.folder),
            created=created.strftime(CREATED),
            dicom=of_exam,
            notes=(job.note,) if job.note else (),
        )
    )


def _made(read: Read, folder: Path) -> list[Made]:
    exam = exam_key(read.prediction.patient_id, read.prediction.exam_id)
    files = () if read.dicom is None else read.dicom.files
    made = []
    for file in files:
        instance = read_instance(file)
        made.append(
            Made(
                sop=instance.instance,
                kind=_kind(file.stem),
                exam=exam,
                file=file.relative_to(folder).as_posix(),
                sop_class=instance.sop_class,
                series=instance.series,
            )
        )
    return made


def _kind(name: str) -> str:
    """The kind in an object's file name: cad-sr of cad-sr, gsps of gsps-R-CC."""
    return name if name == "cad-sr" else name.partition("-")[0]


def exam_key(patient_id: str, exam_id: str) -> str:
    """Tells the patients of one study apart, without their ids."""
    return digest_of_text(f"{patient_id}\n{exam_id}")[:16]


def _has_mammogram(files: Sequence[Path]) -> bool:
    """Whether a header says that it is a mammogram to read: then the pixels are the trouble."""
    for file in files:
        try:
            if read_header(file).left_out is None:
                return True
        except DicomError:
            continue
    return False
