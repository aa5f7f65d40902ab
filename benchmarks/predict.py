"""Reading an exam with MVCCL at 1536 x 768 against the same network in eager float32.

Five alternating rounds of fresh processes; each reads the same four images. Compiling is timed
apart. The plain way shares the backbone between the two orders as well: only the computing differs.
What bfloat16 does to scores is measured with the trained model of the package on phantom exams:
random weights say nothing of it.

    python -m benchmarks.predict
"""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

PAIRS = 5
TIMED = 3  # exams read in each process, after one that warms up
SIZE = (1536, 768)
FLOOR = 2.0
MOST_DIFFERENT = 0.01  # of a score
WAYS = ("plain", "ours", "fast")  # eager float32; float32 compiled; bfloat16 compiled
EXAMS_COMPARED = 16


def child(way: str) -> dict[str, Any]:
    """Read exams in this process; seconds, and the scores to compare."""
    import torch  # noqa: PLC0415 - a fresh process each

    from fourview.contract import ExamBatch  # noqa: PLC0415
    from fourview.models.mvccl.model import Mvccl, MvcclConfig  # noqa: PLC0415
    from fourview.nn.encoder import EncoderConfig  # noqa: PLC0415
    from fourview.predict.engine import Engine  # noqa: PLC0415

    torch.manual_seed(0)
    model = Mvccl(MvcclConfig(encoder=EncoderConfig(weights="none"))).eval()
    with torch.no_grad():
        model.head[-1].weight *= 20  # so that scores spread and differences would show
        model.head[-1].bias.zero_()

    def exam(seed: int) -> ExamBatch:
        make = torch.Generator().manual_seed(seed)
        coarse = torch.rand(4, 1, 48, 24, generator=make)
        smooth = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic")
        return ExamBatch(
            pixels=smooth.clamp(0, 1) * (0.5 + 0.5 * torch.rand(4, 1, 1, 1, generator=make)),
            exam=torch.zeros(4, dtype=torch.long),
            slot=torch.arange(4),
            rank=torch.zeros(4, dtype=torch.long),
            num_exams=1,
        )

    exams = [exam(seed) for seed in range(TIMED + 1)]
    if way != "plain":
        engine = Engine(bfloat16=way == "fast", compiled=True)
        model = engine.prepare(model)
        context = engine.context
    else:
        context = Engine().context
    scores, seconds = [], []
    for batch in exams:
        start = time.perf_counter()
        with torch.inference_mode(), context():
            output = model(batch)
        seconds.append(time.perf_counter() - start)
        scores += output.breast_scores.flatten().tolist()
    return {"first": seconds[0], "exam": statistics.median(seconds[1:]), "scores": scores}


def moved_scores() -> float:
    """How far bfloat16 moves a breast's score of the packaged model on phantom exams."""
    from fourview.entities import Exam  # noqa: PLC0415
    from fourview.phantom.exam import make_exam  # noqa: PLC0415
    from fourview.predict.engine import PLAIN, Engine  # noqa: PLC0415
    from fourview.predict.reader import load_model  # noqa: PLC0415

    readers = [load_model(engine=engine) for engine in (PLAIN, Engine(bfloat16=True))]
    most = 0.0
    for seed in range(EXAMS_COMPARED):
        made = make_exam(seed, "miniature")
        images = tuple(made.entity(image) for image in made.images)
        exam = Exam(exam_id=made.exam_id, patient_id=made.patient_id, images=images)
        one, two = (reader.predict(exam) for reader in readers)
        for side in ("R", "L"):
            most = max(most, abs(one.breast(side).score - two.breast(side).score))
    return most


def run(pairs: int = PAIRS) -> list[dict[str, Any]]:
    """All ways in fresh processes, alternating."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(pairs):
        for way, results in found.items():
            command = [sys.executable, "-m", "benchmarks.predict", "--child", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    seconds = {way: statistics.median(r["exam"] for r in found[way]) for way in WAYS}
    rows = []
    for way, what in (("ours", "float32"), ("fast", "bfloat16, with --fast")):
        apart = max(
            abs(a - b)
            for one, two in zip(found[way], found["plain"], strict=True)
            for a, b in zip(one["scores"], two["scores"], strict=True)
        )
        apart = max(apart, moved_scores()) if way == "fast" else apart
        compiling = statistics.median(r["first"] for r in found[way]) - seconds[way]
        ratio = seconds["plain"] / seconds[way]
        name = (
            f"MVCCL, an exam of four 1536 x 768 images in {what} (compiling once "
            f"{compiling:.0f} s; scores differ by {apart:.4f} at most, allowed {MOST_DIFFERENT})"
        )
        rows.append(
            {
                "name": name,
                "ours": seconds[way],
                "plain": seconds["plain"],
                "ratio": ratio if apart < MOST_DIFFERENT else 0.0,
                "floor": FLOOR,
            }
        )
    return rows


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(child(sys.argv[-1])))
    else:
        for row in run():
            print(json.dumps(row))
