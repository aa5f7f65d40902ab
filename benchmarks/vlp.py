"""A step of MaMA and of GLAM at the papers' token counts, against eager float32 all at once.

1,369 image tokens, 144 text tokens, 9 x 9 super-patches, a contrastive batch of 8; ViT-B/14 cut to
2 blocks and 2 text layers with random weights. Ours encodes 2 at a time through the gradient cache.
Processor seconds of one thread, each way in a fresh process; the peak is what it held more than
before its first step. Both give the same gradients (tests/train/test_grad_cache.py). Full shapes
(12 blocks, batch 144) run where there is CUDA.

    python -m benchmarks.vlp
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

PAIRS = 1
STEPS = 1
BATCH, CHUNK = 8, 2
FULL_BATCH, FULL_CHUNK = 144, 12
SIDE = 518  # pixels
MEMORY_FLOOR = 1.5
MOST_APART = 1e-4  # of the losses; float32 sums in another order


def child(way: str, name: str, full: bool) -> dict[str, Any]:
    """Steps in this process: seconds, peak memory, the first loss."""
    import torch  # noqa: PLC0415 - a fresh process each

    from fourview.train.grad_cache import contrastive_backward  # noqa: PLC0415

    device = "cuda" if full else "cpu"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    objective = made_objective(name, full).to(device).train()
    batch = made_batch(name, FULL_BATCH if full else BATCH).to(device)
    chunk = None if way == "plain" else (FULL_CHUNK if full else CHUNK)
    before = _peak(device)
    losses, seconds = [], []
    clock = time.perf_counter if full else time.process_time  # one thread; others may share it
    for _ in range(STEPS):
        objective.zero_grad(set_to_none=True)
        start = clock()
        terms = contrastive_backward(objective, batch, chunk=chunk)
        losses.append(float(terms.total.detach()))
        seconds.append(clock() - start)
    return {
        "seconds": min(seconds),
        "bytes": _peak(device) - before,
        "loss": losses[0],
    }


def made_objective(name: str, full: bool) -> Any:
    from fourview.models.find import find_family  # noqa: PLC0415
    from fourview.nn.image_tower import ImageTowerConfig  # noqa: PLC0415
    from fourview.nn.text_tower import TextTowerConfig  # noqa: PLC0415

    family = find_family(name)
    stage = family.stages["pretrain"]
    pooled = "cls" if name == "glam" else "mean"
    image = ImageTowerConfig(weights="none", depth=12 if full else 2, pooled=pooled)
    text = TextTowerConfig(dim=768, heads=12, layers=12 if full else 2)
    return stage.objective(family.build(family.config(image=image, text=text)), stage.settings())


def made_batch(name: str, items: int, side: int = SIDE) -> Any:
    import torch  # noqa: PLC0415

    from fourview.contract import ExamBatch, TextBatch  # noqa: PLC0415

    make = torch.Generator().manual_seed(0)
    images = 2 * items
    texts = images if name == "glam" else items
    sentence = torch.arange(144) // 16  # 9 sentences, the last token of each its separator
    sentence = torch.where(torch.arange(144) % 16 == 15, -1, sentence)
    return ExamBatch(
        pixels=torch.rand(images, 1, side, side, generator=make),
        exam=torch.arange(images) // 2,
        slot=torch.arange(images) % 2 * 2,
        rank=torch.zeros(images, dtype=torch.long),
        num_exams=items,
        patient=torch.arange(items),
        text=TextBatch(
            tokens=torch.randint(4, 60, (texts, 144), generator=make),
            mask=torch.ones(texts, 144, dtype=torch.bool),
            sentence=sentence.expand(texts, 144),
            image=torch.arange(texts) * (images // texts),
        ),
    )


def _peak(device: str) -> int:
    if device == "cuda":
        import torch  # noqa: PLC0415

        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(pairs: int = PAIRS) -> list[dict[str, Any]]:
    """Both families; time and memory a row each, and the full shapes where there is CUDA."""
    rows = []
    for name in ("mama", "glam"):
        rows += _rows(name, pairs, full=False)
        if _has_cuda():
            rows += _rows(name, pairs, full=True)
        else:
            print(f"not run: {name} with 12 blocks and a batch of {FULL_BATCH} needs CUDA")
    return rows


def _rows(name: str, pairs: int, *, full: bool) -> list[dict[str, Any]]:
    measured: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for _ in range(pairs):
        for way, results in measured.items():
            command = [sys.executable, "-m", "benchmarks.vlp", "--child", way, name, str(int(full))]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    apart = abs(measured["ours"][0]["loss"] - measured["plain"][0]["loss"])
    shape = f"batch {FULL_BATCH}, 12 blocks" if full else f"batch {BATCH}, 2 blocks"
    about = f"{name.upper()} step, {shape}, 1,369 and 144 tokens (losses differ by {apart:.0e})"

    def row(what: str, key: str, unit: float, floor: float | None) -> dict[str, Any]:
        ours, plain = (
            statistics.median(r[key] for r in measured[way]) for way in ("ours", "plain")
        )
        return {
            "name": f"{about}: {what}",
            "ours": ours * unit,
            "plain": plain * unit,
            "ratio": plain / ours if apart < MOST_APART else 0.0,
            "floor": floor,
        }

    return [
        row("time, encoders run twice", "seconds", 1.0, None),
        row("peak memory, shown in GB for s", "bytes", 1e-9, MEMORY_FLOOR),
    ]


def _has_cuda() -> bool:
    import torch  # noqa: PLC0415

    return bool(torch.cuda.is_available())


if __name__ == "__main__":
    if "--child" in sys.argv:
        way, name, full = sys.argv[sys.argv.index("--child") + 1 :]
        print(json.dumps(child(way, name, full == "1")))
    else:
        for line in run():
            print(json.dumps(line))
