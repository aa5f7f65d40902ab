"""GMIC and the baselines on one phantom manifest: the runs and table of docs/results/baselines.md.

    python -m experiments.baselines train FOLDER       what is missing of the runs, one by one
    python -m experiments.baselines measure FOLDER     the table of what is there

FOLDER holds ``manifest``, with a split, and ``store`` of phantoms (the page has the commands).
Each step is a command of ``fourview`` in a process of its own, so that what a user types is what is
tried: train, predict the test part, evaluate. FOLDER/runs/NAME is the run, with ``test.parquet``,
``result`` and ``seconds.json``.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fourview.checkpoint.card import load_checkpoint
from fourview.run_files import BEST

PROTOCOL = "screening-breast-v1"
FOURVIEW = ("-c", "from fourview.cli.main import main; main()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recipe trained once.

    Attributes:
        name: Its folder.
        recipe: FAMILY:RECIPE.
        seed: Of the run.
        start: Another run that it begins with.
        with_: Other runs whose scores are averaged with its own; nothing is trained then.
    """

    name: str
    recipe: str
    seed: int = 0
    start: str | None = None
    with_: tuple[str, ...] = ()


RUNS = (
    Run(name="end2end", recipe="end2end:mini"),
    Run(name="gmic-0", recipe="gmic:mini"),
    Run(name="nyu_glam", recipe="nyu_glam:mini"),
    Run(name="frcnn", recipe="frcnn:mini"),
    Run(name="dmv-image", recipe="dmv:mini_image"),
    Run(name="dmv-views", recipe="dmv:mini"),
    Run(name="gmic-1", recipe="gmic:mini", seed=1),
    Run(name="gmic-both", recipe="gmic:mini", with_=("gmic-0", "gmic-1")),
    Run(name="dmv-patches", recipe="dmv:mini_patches"),
    Run(name="dmv-views-heatmaps", recipe="dmv:mini_heatmaps", start="dmv-patches"),
    Run(name="dmv-image-heatmaps", recipe="dmv:mini_image_heatmaps", start="dmv-patches"),
)


def train_all(folder: Path) -> None:
    """Train, predict and evaluate what is missing."""
    for run in RUNS:
        out = folder / "runs" / run.name
        if (out / "result" / "result.json").exists():
            continue
        out.mkdir(parents=True, exist_ok=True)
        data = ("--manifest", folder / "manifest", "--store", folder / "store")
        seconds = 0.0 if run.with_ else _train(run, out, data)
        runs = [out.parent / name for name in run.with_ or (run.name,)]
        also = [word for other in runs[1:] for word in ("--also", other)]
        table = out / "test.parquet"
        _fourview("predict", runs[0], *also, *data, "--split", "test", "--exact", "-o", table)
        measured = ("--manifest", folder / "manifest", "--protocol", PROTOCOL)
        _fourview("evaluate", table, *measured, "-o", out / "result")
        (out / "seconds.json").write_text(json.dumps(seconds))
        print(_row(run, folder), flush=True)


def _train(run: Run, out: Path, data: tuple[object, ...]) -> float:
    start = () if run.start is None else ("--start", out.parent / run.start)
    return _fourview("train", run.recipe, *data, "--seed", run.seed, *start, "--resume", "-o", out)


def _fourview(*words: object) -> float:
    """Processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *FOURVIEW, *map(str, words)], check=True, stdout=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path) -> None:
    """Print the table."""
    print("| run | recipe | seed | parameters | processor | AUC by breast |")
    print("| --- | --- | --- | --- | --- | --- |")
    for run in RUNS:
        if (folder / "runs" / run.name / "seconds.json").exists():
            print(_row(run, folder))


def _row(run: Run, folder: Path) -> str:
    out = folder / "runs" / run.name
    result = json.loads((out / "result" / "result.json").read_text())
    auc = next(m for m in result["metrics"] if m["name"] == "auroc")
    size = sum(
        parameter.numel()
        for name in run.with_ or (run.name,)
        for parameter in load_checkpoint(out.parent / name / BEST)[0].parameters()
    )
    seed = "" if run.with_ else run.seed
    minutes = json.loads((out / "seconds.json").read_text()) / 60
    return (
        f"| {run.name} | `{run.recipe}` | {seed} | {size:,} | {minutes:.1f} min | "
        f"{auc['value']:.3f} ({auc['low']:.3f}, {auc['high']:.3f}) |"
    )


def main() -> None:
    """Do what the command line says."""
    commands: dict[str, Callable[[Path], None]] = {"train": train_all, "measure": measure}
    commands[sys.argv[1]](Path(sys.argv[2]))


if __name__ == "__main__":
    main()
