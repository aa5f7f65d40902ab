"""What only a GPU can show, in at most 8 minutes: full-size steps, reading, bfloat16, resuming.

    python -m benchmarks.cuda                            all parts, a line of JSON each
    python -m benchmarks.cuda steps reads resumed        some
    python -m benchmarks.cuda --device cpu --tiny        the same code, small, to see that it runs

steps    a step of MaMA and of GLAM with ViT-B/14 at 518, batch 144 by the gradient cache: seconds,
         peak memory, and how far the loss in bfloat16 is from that in float32
reads    images in a second of MVCCL at 1536 x 768, GMIC at 2944 x 1920 and ViT-B/14 at 518:
         float32, compiled, bfloat16, and how far logits move
resumed  a run on phantoms that is killed and goes on, against one that was not: losses of each step

Without CUDA it says "not run" and ends well. Each part is in a process of its own.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import vlp
from fourview.contract import ExamBatch
from fourview.models.find import find_family
from fourview.nn.image_tower import ImageTower, ImageTowerConfig
from fourview.predict.engine import Engine
from fourview.run_files import LOG
from fourview.train.grad_cache import contrastive_backward

LIMIT_S = 150  # of a part; of a small one on a processor that others use, longer
TIMED, TIMED_S = 3, 10  # at most so many steps or batches, or seconds, after one that warms up
BATCH, CHUNK = 144, 12
TINY_BATCH, TINY_CHUNK, TINY_SIDE = 2, 1, 126
Row = dict[str, Any]


def steps(device: str, *, tiny: bool) -> Iterator[Row]:
    """A contrastive step of the two language-image families."""
    batch_size, chunk = (TINY_BATCH, TINY_CHUNK) if tiny else (BATCH, CHUNK)
    for name in ("mama", "glam"):
        first: dict[str, float] = {}
        for precision in ("float32", "bfloat16"):
            torch.manual_seed(0)
            objective = vlp.made_objective(name, not tiny).to(device).train()
            batch = vlp.made_batch(name, batch_size, TINY_SIDE if tiny else vlp.SIDE).to(device)
            _forget_peak(device)

            def step(
                objective: Any = objective,
                batch: ExamBatch = batch,
                low: bool = precision != "float32",
            ) -> float:
                objective.zero_grad(set_to_none=True)
                torch.manual_seed(1)
                terms = contrastive_backward(
                    objective, batch, chunk=chunk, autocast=lambda: _autocast(device, on=low)
                )
                return float(terms.total.detach())

            first[precision] = step()
            seconds = _seconds(step, device)
            yield {
                "what": f"{name}: a step, batch {batch_size} by {chunk}, {precision}",
                "seconds": seconds,
                "peak_gb": _peak_gb(device),
                "loss": first[precision],
            }
        yield {"what": f"{name}: loss in bfloat16 less float32",
               "difference": first["bfloat16"] - first["float32"]}  # fmt: skip


def reads(device: str, *, tiny: bool) -> Iterator[Row]:
    """Images in a second, each network three ways, and how far its logits move."""
    for name, make in (("mvccl", _mvccl), ("gmic", _gmic), ("vit-b/14", _vit)):
        known: Tensor | None = None
        for way in ("float32", "compiled", "bfloat16"):
            torch.manual_seed(0)
            model, call, pixels = make(device, tiny, way == "compiled")

            def read(
                call: Callable[[nn.Module, Tensor], Tensor] = call,
                model: nn.Module = model,
                pixels: Tensor = pixels,
                low: bool = way == "bfloat16",
            ) -> Tensor:
                with torch.inference_mode(), _autocast(device, on=low):
                    return call(model, pixels).float()

            _forget_peak(device)
            out = read()
            known = out if known is None else known
            yield {
                "what": f"{name}, {len(pixels)} images of {tuple(pixels.shape[2:])}, {way}",
                "images_per_second": len(pixels) / _seconds(read, device),
                "peak_gb": _peak_gb(device),
                "furthest": float((out - known).abs().max()),
            }


def resumed(device: str, *, tiny: bool) -> Iterator[Row]:
    """Kill a run in its middle, go on, and compare every step's loss with an unbroken one."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        exams = "12" if tiny else "60"
        spec = "mvccl-192x96"
        fourview = [sys.executable, "-m", "fourview"]
        small = ["--preset", "miniature", "--rows", "256"]
        for words in (
            ["phantom", str(root / "p"), "--exams", exams, *small],
            ["index", str(root / "p"), "--source", "phantom", "-o", str(root / "m"),
             "--split", "0.5,0.25,0.25"],
            ["prepare", str(root / "m"), "--spec", spec, "-o", str(root / "s")],
        ):  # fmt: skip
            subprocess.run([*fourview, *words], check=True, capture_output=True)
        train = [*fourview, "train", "mvccl:mini", "--manifest", str(root / "m"), "--store",
                 str(root / "s"), "--device", device, "--save-every", "2", "--set", "epochs=3",
                 "--set", "batch=4", "--set", f"pixel_spec={spec}"]  # fmt: skip
        subprocess.run([*train, "-o", str(root / "whole")], check=True, capture_output=True)
        whole = _losses(root / "whole")
        process = subprocess.Popen([*train, "-o", str(root / "broken")], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        while len(_losses(root / "broken")) < len(whole) // 2 and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        at = len(_losses(root / "broken"))
        subprocess.run(
            [*train, "-o", str(root / "broken"), "--resume"], check=True, capture_output=True
        )
        after = _losses(root / "broken")
    apart = max((abs(a - b) for a, b in zip(whole, after, strict=True)), default=float("nan"))
    yield {
        "what": f"killed after {at} of {len(whole)} steps and resumed",
        "steps": len(after),
        "furthest": apart,
    }


PARTS: dict[str, Callable[..., Iterator[Row]]] = {
    "steps": steps, "reads": reads, "resumed": resumed,
}  # fmt: skip


def _mvccl(device: str, tiny: bool, compiled: bool) -> tuple[nn.Module, Any, Tensor]:
    family = find_family("mvccl")
    config = family.tiny_config if tiny else family.config()
    if not tiny:
        config = replace(config, encoder=replace(config.encoder, weights="none"))
    size = family.tiny_size if tiny else (1536, 768)
    model = Engine(device=device, compiled=compiled).prepare(family.build(config), family.heavy)
    return (
        model,
        lambda m, x: m(_exams(x)).logits,
        torch.rand(4 if tiny else 32, 1, *size).to(device),
    )


def _gmic(device: str, tiny: bool, compiled: bool) -> tuple[nn.Module, Any, Tensor]:
    family = find_family("gmic")
    config = family.tiny_config if tiny else family.config()
    if not tiny:
        config = replace(config, local_network=replace(config.local_network, weights="none"))
    size = family.tiny_size if tiny else (2944, 1920)
    model = Engine(device=device, compiled=compiled).prepare(family.build(config), family.heavy)
    return model, lambda m, x: m(_exams(x)).image_scores, torch.rand(4, 1, *size).to(device)


def _vit(device: str, tiny: bool, compiled: bool) -> tuple[nn.Module, Any, Tensor]:
    side = 56 if tiny else 518
    config = ImageTowerConfig(weights="none", depth=1 if tiny else None, size=(side, side))
    model: nn.Module = ImageTower(config).to(device).eval()
    if compiled:
        model = torch.compile(model, dynamic=False)
    pixels = torch.rand(4 if tiny else 64, 1, side, side).to(device)
    return model, lambda m, x: m(x).pooled, pixels


def _exams(pixels: Tensor) -> ExamBatch:
    """Four images an exam."""
    place = torch.arange(len(pixels), device=pixels.device)
    return ExamBatch(
        pixels=pixels, exam=place // 4, slot=place % 4, rank=torch.zeros_like(place),
        num_exams=-(-len(pixels) // 4),
    )  # fmt: skip


def _seconds(call: Callable[[], Any], device: str) -> float:
    """Of one call: the mean of several, or of as many as fit into some seconds."""
    _wait(device)
    start, done = time.perf_counter(), 0
    while done < TIMED and time.perf_counter() - start < TIMED_S:
        call()
        _wait(device)
        done += 1
    return (time.perf_counter() - start) / done


def _autocast(device: str, *, on: bool) -> Any:
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if on else nullcontext()


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def _forget_peak(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_gb(device: str) -> float | None:
    """None where nobody counts it."""
    is_cuda = torch.device(device).type == "cuda"
    return torch.cuda.max_memory_allocated() / 1e9 if is_cuda else None


def _losses(run: Path) -> list[float]:
    """Of every step by its number; of one that was taken twice, the last."""
    losses: dict[int, float] = {}
    if (run / LOG).exists():
        for line in (run / LOG).read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # being written
                continue
            if "loss" in row and "total_steps" in row:
                losses[row["total_steps"]] = row["loss"]
    return [losses[number] for number in sorted(losses)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--here", action="store_true", help="in this process, one part")
    asked = parser.parse_args()
    if torch.device(asked.device).type == "cuda" and not torch.cuda.is_available():
        print(json.dumps({"what": "not run", "why": "there is no CUDA"}))
        return 0
    if asked.here:
        for row in PARTS[asked.parts[0]](asked.device, tiny=asked.tiny):
            print(json.dumps(row), flush=True)
        return 0
    bad, limit = 0, LIMIT_S * (4 if asked.tiny else 1)
    for part in asked.parts or PARTS:
        command = [sys.executable, "-m", "benchmarks.cuda", part, "--here", "--device",
                   asked.device, *(["--tiny"] if asked.tiny else [])]  # fmt: skip
        try:
            bad += subprocess.run(command, check=False, timeout=limit).returncode != 0
        except subprocess.TimeoutExpired:
            print(json.dumps({"what": part, "why": f"not done in {limit} s"}), flush=True)
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
