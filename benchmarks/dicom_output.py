"""A full-size exam as standard DICOM: processor seconds and memory against the floors.

The plain way is what a report does with the same exam (``result.json``, ``report.html``, pictures):
the objects must cost little beside it. A ratio is the seconds that are allowed over the seconds
that were needed, and the bytes that are allowed over the bytes that were added to the peak; 1 is
the floor. Each way runs in fresh processes; the median of five rounds counts.

    python -m benchmarks.dicom_output
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS = 5
ALLOWED = {  # processor seconds of an exam of four views of 3328 x 2560; of seg, of one image
    "cad-sr,gsps,sr1500": 0.5,
    "cad-sr,gsps,sr1500,sc": 1.5,
    "seg": 0.6,
}
MOST_BYTES = 150e6  # beyond the peak of the report
PHANTOM = "fourview-bench-phantom-dicom-output"  # below the machine's folder for what is temporary


def study() -> Path:
    """A phantom exam of vendor A at full size; made once."""
    from fourview.phantom.write import write_phantom  # noqa: PLC0415 - not in every child

    root = Path(tempfile.gettempdir()) / PHANTOM
    write_phantom(root, num_exams=1, seed=7, preset="enriched", vendors=("A",))
    return next((root / "dicom").iterdir())


def _prediction(exam: Any) -> Any:
    """A made-up prediction with three findings and a heatmap in every view."""
    import numpy as np  # noqa: PLC0415 - a fresh process each

    from fourview.entities import (  # noqa: PLC0415
        BreastPrediction,
        ExamPrediction,
        Finding,
        Heatmap,
        ImagePrediction,
        Region,
    )
    from fourview.geometry import Box, Geometry  # noqa: PLC0415

    grid = np.random.default_rng(0).random((48, 24), dtype=np.float32)
    findings = tuple(
        Finding(
            finding_id=f"{image.view.name}-{n}",
            side=image.view.side,
            score=0.5,
            regions=(Region(image_id=image.image_id, box=Box(90.0 * n, 900, 90.0 * n + 80, 990)),),
        )
        for image in exam.images
        for n in range(1, 4)
    )
    return ExamPrediction(
        patient_id=exam.patient_id,
        exam_id=exam.exam_id,
        breasts=tuple(
            BreastPrediction(
                side=side, score=0.5, findings=tuple(f for f in findings if f.side == side)
            )
            for side in ("R", "L")
        ),
        images=tuple(
            ImagePrediction(
                image_id=i.image_id,
                view=i.view,
                score=0.5,
                heatmaps=(
                    Heatmap(
                        image_id=i.image_id,
                        class_name="cancer",
                        values=grid,
                        geometry=Geometry(i.stored_size).resized(1536, 768),
                    ),
                ),
            )
            for i in exam.images
        ),
        model="bench",
        model_digest="ab" * 32,
        pixel_spec="bench 0123456789abcdef",
    )


def child(kinds: str, folder: str) -> dict[str, float]:
    """The report, and then the objects of these kinds, in this process."""
    from fourview.dicom.exams import read_exams  # noqa: PLC0415 - a fresh process each
    from fourview.report.dicom.options import DicomOptions  # noqa: PLC0415
    from fourview.report.dicom.write import write_dicom  # noqa: PLC0415
    from fourview.report.exam_html import write_exam_report  # noqa: PLC0415

    (exam,) = read_exams(folder)
    prediction = _prediction(exam)
    out = Path(tempfile.mkdtemp())
    start = time.process_time()
    write_exam_report(prediction, exam.images, out)
    report = time.process_time() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    options = DicomOptions(kinds=tuple(kinds.split(",")))
    start = time.process_time()
    write_dicom(prediction, exam, out / "dicom", options=options)
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    per = len(exam.images) if kinds == "seg" else 1
    return {"report": report, "seconds": seconds / per, "bytes": after - before}


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Every group of kinds, alternating."""
    folder = str(study())
    measured: dict[str, list[dict[str, float]]] = {kinds: [] for kinds in ALLOWED}
    for _ in range(rounds):
        for kinds, results in measured.items():
            command = [sys.executable, "-m", "benchmarks.dicom_output", "--child", kinds, folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for kinds, results in measured.items():
        seconds = statistics.median(r["seconds"] for r in results)
        report = statistics.median(r["report"] for r in results)
        extra = statistics.median(r["bytes"] for r in results)
        of = "an image" if kinds == "seg" else "an exam"
        rows.append(
            {
                "name": f"{kinds} of {of} within {ALLOWED[kinds]} s (plain: the exam's report)",
                "ours": seconds,
                "plain": report,
                "ratio": ALLOWED[kinds] / seconds,
                "floor": 1.0,
            }
        )
        rows.append(
            {
                "name": f"{kinds}: {extra / 1e6:.0f} MB over the report's peak, "
                f"{MOST_BYTES / 1e6:.0f} allowed",
                "ours": seconds,
                "plain": report,
                "ratio": min(MOST_BYTES / max(extra, 1.0), 1000.0),
                "floor": 1.0,
            }
        )
    return rows


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(child(*sys.argv[-2:])))
    else:
        for row in run():
            print(json.dumps(row))
