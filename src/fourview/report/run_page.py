"""A run as pictures: its curves as PNG, and one self-contained page.

Reads plain rows (the lines of log.jsonl) and values, so that any run can be shown, also one that is
not done.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fourview
from fourview.report.page import render

Line = Mapping[str, Any]
SIZE, DPI = (10.0, 3.2), 110  # inches, and pixels of each
MANY = 200  # steps beyond which single losses are drawn pale


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An error on the test part.

    Attributes:
        title: Which breast, and what is known of it.
        score: What the model said.
        pictures: Data URIs of its views.
    """

    title: str
    score: str
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """What the page says.

    Attributes:
        name: FAMILY:RECIPE.
        lines: Of log.jsonl.
        curves: The PNG of ``curves``.
        changes: Settings that differ from the recipe of that name: key, there, here.
        figures: Metrics of the test part, in words.
        examples: The worst errors by kind.
        facts: Name and value, such as device and seconds.
    """

    name: str
    lines: Sequence[Line]
    curves: bytes
    changes: Sequence[tuple[str, str, str]] = ()
    figures: str = ""
    examples: Mapping[str, Sequence[Example]]
    facts: Sequence[tuple[str, str]] = ()


def curves(lines: Sequence[Line]) -> bytes:
    """Loss, validation and learning rate over the steps, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - a second that other pages do not need
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second that other pages do not need

    steps = [line for line in lines if line["kind"] == "step"]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)  # needs no screen
    loss, score, rate = figure.subplots(1, 3)
    pale = 0.35 if len(steps) > MANY else 0.8
    at = [line["total_steps"] for line in steps]
    loss.plot(at, [line["loss"] for line in steps], lw=0.8, alpha=pale, label="each step")
    ends = [line["total_steps"] for line in epochs]
    _line(loss, ends, [line["training_loss"] for line in epochs], "training")
    _line(loss, ends, [line["validation_loss"] for line in epochs], "validation")
    _line(score, ends, [line["validation_auc"] for line in epochs], "validation AUC")
    best = [line["total_steps"] for line in epochs if line["best"]][-1:]
    for axes, step in ((axes, step) for axes in (loss, score) for step in best):
        axes.axvline(step, color="0.6", lw=0.8, ls="--", label="best")
    rate.plot(at, [line["lr"] for line in steps], lw=1)
    for axes, title in ((loss, "loss"), (score, "validation AUC"), (rate, "learning rate")):
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("steps", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    loss.legend(fontsize=7)
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _line(axes: Any, at: Sequence[int], values: Sequence[float | None], label: str) -> None:
    known = [(x, y) for x, y in zip(at, values, strict=True) if y is not None]
    if known:
        axes.plot(*zip(*known, strict=True), marker=".", ms=4, lw=1.4, label=label)


def run_html(page: RunPage) -> str:
    """The page; nothing on it comes from the network."""
    epochs = [line for line in page.lines if line["kind"] == "epoch"]
    shown = [
        {
            "epoch": line["epoch"] + 1,
            "steps": line["total_steps"],
            "training": _number(line["training_loss"], 4),
            "validation": _number(line["validation_loss"], 4),
            "auc": _number(line["validation_auc"], 3),
            "seconds": f"{line['seconds']:.1f}",
            "best": line["best"],
        }
        for line in epochs
    ]
    return render(
        "run",
        {
            "title": page.name,
            "curves": "data:image/png;base64," + base64.b64encode(page.curves).decode(),
            "epochs": shown,
            "changes": page.changes,
            "figures": page.figures,
            "examples": page.examples,
            "facts": page.facts,
            "software": f"fourview {fourview.__version__}",
        },
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
