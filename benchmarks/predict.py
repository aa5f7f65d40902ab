"""Reading an exam with MVCCL at 1536 x 768 against the same network in eager float32.

Five alternating rounds of fresh processes; each reads the same four images. Compiling is timed
apart. The plain way shares the backbone between the two orders as well: only the computing differs.
How far scores may differ is bounded by a quarter of the logits' difference, a sigmoid's steepest
slope: with random weights the scores themselves lie close together.

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
MOST_DIFFERENT = 0.01  # of a score
NAMES = {
    "read": "as one exam is read, not compiled",
    "ours": "as many are read, compiled",
}
FLOORS = {"ours": 2.0}


def child(way: str) -> dict[str, Any]:
    """Read exams in this process; seconds, and the logits to compare."""
    import torch  # noqa: PLC0415 - a fresh process each

    from fourview.contract import ExamBatch  # noqa: PLC0415
    from fourview.models.mvccl import FAMILY  # noqa: PLC0415
    from fourview.models.mvccl.model import Mvccl, MvcclConfig  # noqa: PLC0415
    from fourview.nn.encoder import EncoderConfig  # noqa: PLC0415
    from fourview.predict.engine import Engine  # noqa: PLC0415

    torch.manual_seed(0)
    model = Mvccl(MvcclConfig(encoder=EncoderConfig(weights="none"))).eval()
    with torch.no_grad():
        model.head[-1].weight *= 20  # so that differences would show
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
    engine = Engine(compiled=way == "ours")
    if way != "plain":  # prepared: channels last, memory kept
        model = engine.prepare(model, FAMILY.heavy)
    logits, seconds = [], []
    for batch in exams:
        start = time.perf_counter()
        with torch.inference_mode():
            output = model(batch)
        seconds.append(time.perf_counter() - start)
        logits += output.logits.flatten().tolist()
    return {"first": seconds[0], "exam": statistics.median(seconds[1:]), "logits": logits}


def run(pairs: int = PAIRS) -> list[dict[str, Any]]:
    """All ways in fresh processes, alternating."""
    measured: dict[str, list[dict[str, Any]]] = {way: [] for way in ("plain", *NAMES)}
    for _ in range(pairs):
        for way, results in measured.items():
            command = [sys.executable, "-m", "benchmarks.predict", "--child", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    seconds = {way: statistics.median(r["exam"] for r in measured[way]) for way in measured}
    rows = []
    for way, what in NAMES.items():
        apart = max(
            abs(a - b) / 4
            for one, two in zip(measured[way], measured["plain"], strict=True)
            for a, b in zip(one["logits"], two["logits"], strict=True)
        )
        first = statistics.median(r["first"] for r in measured[way]) - seconds[way]
        ratio = seconds["plain"] / seconds[way]
        name = (
            f"MVCCL, an exam of four 1536 x 768 images {what} (the first takes {first:.0f} s more; "
            f"scores differ by {apart:.4f} at most, allowed {MOST_DIFFERENT})"
        )
        rows.append(
            {
                "name": name,
                "ours": seconds[way],
                "plain": seconds["plain"],
                "ratio": ratio if apart < MOST_DIFFERENT else 0.0,
                "floor": FLOORS.get(way),
            }
        )
    return rows


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(child(sys.argv[-1])))
    else:
        for row in run():
            print(json.dumps(row))
