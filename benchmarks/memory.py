"""Peak memory and processor seconds of a training step at the papers' sizes, each by itself.

    python -m benchmarks.memory [NAME ...]     all, or only these

Float32, one thread, random weights and pixels, the recipe's optimiser. The peak is that of a
process of its own, with Python and its libraries, which take about 0.7 GB. There is no plain way
beside these figures, so ``make bench`` leaves them out.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from fourview.contract import ExamBatch, PatchBatch
from fourview.models.find import find_family
from fourview.study.find_recipe import find_recipe
from fourview.train.optimise import make_optimizer
from fourview.train.recipe import override

GIGABYTE = 1e9
Step = tuple[str, ExamBatch, tuple[str, ...]]  # recipe, what it reads, what is set for the bench


def gmic() -> Step:
    """One image of 2944 x 1920; the recipe's step has sixteen."""
    return "gmic:published_1", _images(1, (2944, 1920)), ("model.local_network.weights=none",)


def lesion_patch() -> Step:
    """25 windows of 256 x 256, DenseNet-161, all layers: the recipe's step."""
    return "lesion:paper_patch", _windows(25), ("model.encoder.weights=none",)


def lesion_aggregate() -> Step:
    """100 windows through the frozen DenseNet-161, f_agg on 46 x 30 cells: the recipe's step."""
    return "lesion:paper", _windows(100), ("model.encoder.weights=none",)


def dmv() -> Step:
    """The four views of one exam; the recipe's step has four exams."""
    return "dmv:views", _images(4, (2974, 1942)), ()


def dmv_patches() -> Step:
    """12 squares of 256 x 256 of one image with two findings, DenseNet-121."""
    return "dmv:patches", _with_findings(_images(1, (2974, 1942))), ()


def nyu_glam() -> Step:
    """One image of 2944 x 1920; the recipe's step has sixteen."""
    return "nyu_glam:joint", _images(1, (2944, 1920)), ()


def end2end() -> Step:
    """All layers of ResNet50 on two images of 1152 x 896; the recipe's step has four breasts."""
    return "end2end:paper", _images(2, (1152, 896)), ("model.encoder.weights=none",)


def frcnn() -> Step:
    """One image of 2145 x 1737 with two findings; the recipe's step is a breast."""
    batch = _with_findings(_images(1, (2145, 1737)))
    return "frcnn:paper", batch, ("model.backbone.weights=none",)


STEPS: dict[str, Callable[[], Step]] = {
    step.__name__: step
    for step in (gmic, lesion_patch, lesion_aggregate, dmv, dmv_patches, nyu_glam, end2end, frcnn)
}


def measure(name: str) -> dict[str, Any]:
    """A step in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe_name, batch, settings = STEPS[name]()
    recipe = override(find_recipe(recipe_name), list(settings))
    family = find_family(recipe.family)
    stage = family.stages[recipe.stage]
    objective = stage.objective(family.build(recipe.model), recipe.objective)
    objective.train()
    optimizer = make_optimizer(objective, recipe.optimizer)
    start = time.process_time()
    objective(batch).total.backward()
    optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return {"recipe": recipe_name, "seconds": time.process_time() - start, "bytes": peak}


def _images(num: int, size: tuple[int, int]) -> ExamBatch:
    """Views of one exam, in the order of slots, with both labels."""
    known = torch.tensor([[1.0, 0.0]])
    return ExamBatch(
        pixels=torch.rand(num, 1, *size),
        exam=torch.zeros(num, dtype=torch.long),
        slot=torch.arange(num),
        rank=torch.zeros(num, dtype=torch.long),
        num_exams=1,
        targets={"cancer": known, "benign": 1 - known},
    )


def _with_findings(batch: ExamBatch) -> ExamBatch:
    """A malignant and a benign box on the first image."""
    boxes = torch.tensor([[300.0, 400.0, 420.0, 500.0], [900.0, 1300.0, 1000.0, 1400.0]])
    return replace(
        batch,
        patches=PatchBatch(
            image=torch.zeros(2, dtype=torch.long),
            box=boxes,
            targets={"malignant": torch.tensor([1.0, 0.0]), "calcification": torch.zeros(2)},
        ),
    )


def _windows(num: int) -> ExamBatch:
    """Windows of all four classes, each of an image of its own, with the maps beside them."""
    batch = _images(1, (0, 0))
    image = torch.arange(num)
    return replace(
        batch,
        pixels=torch.zeros(num, 1, 0, 0),
        exam=image,
        slot=torch.zeros(num, dtype=torch.long),
        rank=torch.zeros(num, dtype=torch.long),
        num_exams=num,
        targets={},
        patches=PatchBatch(
            image=image,
            box=torch.tensor([0.0, 0.0, 256.0, 256.0]).expand(num, 4),
            pixels=torch.rand(num, 1, 256, 256),
            maps=torch.rand(num, 3, 46, 30),
            finding=torch.full((num,), -1),
            targets={"patch_class": (image % 4).float()},
        ),
    )


def main() -> None:
    """Every step in a process of its own; one of them with ``--child NAME``."""
    if "--child" in sys.argv:
        print(json.dumps(measure(sys.argv[-1])))
        return
    print(f"{'peak':>8} {'seconds':>8}  step")
    for name in sys.argv[1:] or STEPS:
        command = [sys.executable, "-m", "benchmarks.memory", "--child", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        peak = result["bytes"] / GIGABYTE
        about = (STEPS[name].__doc__ or "").strip()
        print(f"{peak:>5.1f} GB {result['seconds']:>8.1f}  {result['recipe']}: {about}", flush=True)


if __name__ == "__main__":
    main()
