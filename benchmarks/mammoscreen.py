"""Reading an exam with MammoScreen's three networks against the same networks in eager float32.

One view at each of the three published sizes, random weights. Each way in a fresh process;
compiling is timed apart. The plain way has no engine: it gives memory back after every layer.

    python -m benchmarks.mammoscreen
"""

import json
import subprocess
import sys
import time
from typing import Any

from fourview.models.screen_ensemble.published import SPECS
from fourview.preprocess.spec import pixel_spec

VIEWS = 1
NAMES = {"read": "not compiled, as one exam is read", "many": "compiled, as many are"}
MOST_DIFFERENT = 0.01  # of a score: a quarter of the logits' difference bounds it


def child(way: str) -> dict[str, Any]:
    """Read an exam in this process; seconds of a first reading and of the next, and the logits."""
    import torch  # noqa: PLC0415 - a fresh process each

    from fourview.contract import ExamBatch  # noqa: PLC0415
    from fourview.models.screen_ensemble import FAMILY  # noqa: PLC0415
    from fourview.predict.engine import Engine  # noqa: PLC0415

    first = seconds = 0.0
    logits: list[float] = []
    for number, name in enumerate(SPECS):
        torch.manual_seed(number)
        model = FAMILY.build(FAMILY.config()).eval()
        spec = pixel_spec(name)
        place = torch.arange(VIEWS)
        batch = ExamBatch(
            pixels=torch.rand(VIEWS, 1, spec.rows or 0, spec.cols or 0),
            exam=torch.zeros_like(place),
            slot=place,
            rank=torch.zeros_like(place),
            num_exams=1,
        )
        if way != "plain":
            model = Engine(compiled=way == "many").prepare(model, FAMILY.heavy)
        for turn in range(2):
            start = time.perf_counter()
            with torch.inference_mode():
                output = model(batch)
            took = time.perf_counter() - start
            first, seconds = (first + took, seconds) if turn == 0 else (first, seconds + took)
        logits += output.logits.flatten().tolist()
    return {"first": first, "exam": seconds, "logits": logits}


def run() -> list[dict[str, Any]]:
    """All ways in fresh processes."""
    measured = {}
    for way in ("plain", *NAMES):
        command = [sys.executable, "-m", "benchmarks.mammoscreen", "--child", way]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        measured[way] = json.loads(done.stdout.splitlines()[-1])
    plain, rows = measured["plain"], []
    for way, what in NAMES.items():
        pairs = zip(measured[way]["logits"], plain["logits"], strict=True)
        apart = max(abs(a - b) / 4 for a, b in pairs)
        more = measured[way]["first"] - measured[way]["exam"]
        ratio = plain["exam"] / measured[way]["exam"]
        rows.append(
            {
                "name": f"one view, three networks, {what} (the first takes "
                f"{more:.0f} s more; scores differ by {apart:.4f} at most)",
                "ours": measured[way]["exam"],
                "plain": plain["exam"],
                "ratio": ratio if apart < MOST_DIFFERENT else 0.0,
                "floor": 1.0 if way == "many" else None,
            }
        )
    return rows


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(child(sys.argv[-1])))
    else:
        for row in run():
            print(json.dumps(row))
