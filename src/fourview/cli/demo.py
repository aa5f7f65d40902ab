"""``fourview demo``: phantom exams through the whole chain; ends with reports."""

import json as jsonlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.study.demo import run_demo


def demo(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("demo"),
    exams: int = 40,
    workers: int = 2,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Make phantom exams, read them with the model of the package, and measure it.

    Args:
        out: Folder to write to; run again, it goes on with what is there.
        exams: How many.
        workers: Processes.
        device: Where to compute: cpu, cuda, cuda:1, mps, xpu; without it a GPU where there is one.
        json: Print the figures as JSON.
    """
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    with progress_bar(quiet=json) as update:
        made = run_demo(
            out,
            num_exams=exams,
            workers=workers,
            created=created,
            progress=update,
            device=device,
        )
    auc = next(m for m in made.result.metrics if m.name == "auroc")
    if json:
        figures = {"auroc": auc.value, "low": auc.low, "high": auc.high}
        case = None if made.case is None else str(made.case[0])
        print(
            jsonlib.dumps(
                {**figures, "index": str(made.index), "exams": made.num_exams, "case": case}
            )
        )
        return
    say(
        f"{made.num_exams} phantom exams, {made.result.num_units} breasts, "
        f"{made.result.num_positive} with cancer"
    )
    if auc.value is None or auc.low is None or auc.high is None:
        say(f"breast AUC: undefined ({auc.note})")
    else:
        say(f"breast AUC: {auc.value:.3f} (95 % interval {auc.low:.3f} to {auc.high:.3f})")
    say(f"measured by screening-breast-v1: {out / 'result' / 'report.html'}")
    say(f"an exam: {made.report}")
    if made.case is None:
        say("no exam has a cancer that is found and marked, and nothing else marked")
    else:
        say(f"the first cancer that is found and marked: {made.case[0]} ({made.case[1]})")
    say(f"all exams: {made.index}")
    room = f"--manifest {out / 'manifest'} --predictions {out / 'predictions.parquet'}"
    say(f"look at them: fourview serve {room} --results {out / 'reports'}")
    say("Research use only. The model was trained on phantoms and says nothing about a patient.")
