"""Reading an image with GMIC at 2944 x 1920 against the same network in eager float32.

Alternating pairs of fresh processes of one thread; each reads the same images. Processor seconds,
which other work on the machine hardly changes. Compiling is timed apart. Memory of training
steps: ``benchmarks.memory``.

    python -m benchmarks.gmic
"""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

PAIRS = 3
TIMED = 3  # images read in each process, after one that warms up
SIZE = (2944, 1920)
FLOOR = 2.0
MOST_DIFFERENT = 0.01  # of a score


def child(way: str) -> dict[str, Any]:
    """Read images in this process; seconds, and the scores to compare."""
    import torch  # noqa: PLC0415 - a fresh process each

    torch.set_num_threads(1)
    from fourview.models.gmic import FAMILY  # noqa: PLC0415
    from fourview.models.gmic.model import Gmic, GmicConfig  # noqa: PLC0415
    from fourview.predict.engine import Engine  # noqa: PLC0415

    torch.manual_seed(0)
    model = Gmic(GmicConfig()).eval()
    with torch.no_grad():
        model.fusion.weight *= 5  # so that scores spread and differences would show
    if way == "ours":
        engine = Engine(compiled=True)
        model = engine.prepare(model, FAMILY.heavy)
        context = engine.context
    else:
        context = Engine().context
    scores, seconds = [], []
    for seed in range(TIMED + 1):
        batch = image_batch(seed)
        start = time.process_time()
        with torch.inference_mode(), context():
            output = model(batch)
        seconds.append(time.process_time() - start)
        scores += output.image_scores.flatten().tolist()
    return {"first": seconds[0], "image": statistics.median(seconds[1:]), "scores": scores}


def image_batch(seed: int) -> Any:
    """One image of the full size that looks a little like a breast, with both labels."""
    import torch  # noqa: PLC0415

    from fourview.contract import ExamBatch  # noqa: PLC0415

    make = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, 46, 30, generator=make)
    smooth = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0.01, 1)
    grain = 0.1 * torch.rand(1, 1, *SIZE, generator=make)
    breast = (torch.arange(SIZE[1]) < 1200).float()
    known = torch.ones(1, 2)
    return ExamBatch(
        pixels=(smooth + grain).clamp(max=1) * breast,
        exam=torch.zeros(1, dtype=torch.long),
        slot=torch.zeros(1, dtype=torch.long),
        rank=torch.zeros(1, dtype=torch.long),
        num_exams=1,
        targets={"cancer": known, "benign": known - 1},
    )


def run(pairs: int = PAIRS) -> list[dict[str, Any]]:
    """Both ways in fresh processes, alternating."""
    measured: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for _ in range(pairs):
        for way, results in measured.items():
            results.append(_in_a_process(way))
    ours, plain = (
        statistics.median(r["image"] for r in measured[way]) for way in ("ours", "plain")
    )
    apart = max(
        abs(a - b)
        for one, two in zip(measured["ours"], measured["plain"], strict=True)
        for a, b in zip(one["scores"], two["scores"], strict=True)
    )
    spread = [min(measured["plain"][0]["scores"]), max(measured["plain"][0]["scores"])]
    compiling = statistics.median(r["first"] for r in measured["ours"]) - ours
    return [
        {
            "name": (
                f"GMIC, an image of 2944 x 1920 (compiling once {compiling:.0f} s; "
                f"scores {spread[0]:.2f} to {spread[1]:.2f} differ by {apart:.4f} at most, "
                f"allowed {MOST_DIFFERENT})"
            ),
            "ours": ours,
            "plain": plain,
            "ratio": plain / ours if apart < MOST_DIFFERENT else 0.0,
            "floor": FLOOR,
        }
    ]


def _in_a_process(way: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gmic", "--child", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(child(sys.argv[-1])))
    else:
        for row in run():
            print(json.dumps(row))
