"""A study as pages: Markdown for a repository, HTML to look at, and a forest plot.

The first lines are what a reader takes away. Nothing on the page is without its command.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import fourview
from fourview.entities import Metric
from fourview.evaluate.several_runs import WayResult
from fourview.report.page import render

LINE_IN, WIDTH_IN, DPI = 0.26, 7.5, 120  # of the plot
FOREST = "forest.png"
UNKNOWN = "no runs yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureTable:
    """A measure of all rows.

    Attributes:
        name: Of the measure.
        how: By which protocol or function, on which data.
        reference: The row that others are compared with.
        results: A row each.
        seeds: How many runs of each row.
    """

    name: str
    how: str
    reference: str | None
    results: Sequence[WayResult]
    seeds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """A claim and its answer.

    Attributes:
        text: In words.
        about: Of which measure and rows.
        value: The number; None where its runs are not done.
        need: Where it has to lie.
        verdict: holds, falls, cannot be told.
        control: positive or negative; None of a claim that is none.
        as_it_must: Of a control.
    """

    text: str
    about: str
    value: Metric | None
    need: str
    verdict: str
    control: str | None
    as_it_must: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPage:
    """What the pages say.

    Attributes:
        title: Of the study.
        question: What it asks.
        takeaway: Written by a person; may be empty.
        claims: Those that are none, and controls.
        tables: A measure each.
        data: Name, and what it is.
        rows: Name, recipe with settings, what it starts from, runs done of those planned.
        commands: To be typed.
        facts: Name and value, such as time.
        remarks: What a reader must know: runs that are missing or failed, later changes.
    """

    title: str
    question: str
    takeaway: str
    claims: Sequence[ClaimLine]
    tables: Sequence[MeasureTable]
    data: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, str, str, str]]
    commands: Sequence[str]
    facts: Sequence[tuple[str, str]]
    remarks: Sequence[str]

    @property
    def summary(self) -> tuple[str, ...]:
        """What came out, in at most three sentences."""
        asked = [claim for claim in self.claims if claim.control is None]
        lines = []
        for verdict in ("holds", "falls", "cannot be told"):
            named = [c.text for c in asked if c.verdict == verdict]
            if named:
                lines.append(f"{verdict.capitalize()}: {'; '.join(named)}.")
        controls = [claim for claim in self.claims if claim.control is not None]
        wrong = [c.text for c in controls if not c.as_it_must]
        if wrong:
            lines.insert(
                0,
                "The study can show nothing yet: these controls did not come out as they must: "
                f"{'; '.join(wrong)}.",
            )
        elif controls:
            all_of = "The control" if len(controls) == 1 else f"All {len(controls)} controls"
            lines.append(f"{all_of} came out as {'it' if len(controls) == 1 else 'they'} must.")
        return tuple(lines)


def between(metric: Metric | None, form: str = ".3f") -> str:
    """A number with its interval.

    >>> between(Metric(name="auroc", value=0.8, low=0.75, high=0.84))
    '0.800 (0.750 to 0.840)'
    """
    if metric is None or metric.value is None:
        return UNKNOWN if metric is None else "undefined"
    if metric.low is None or metric.high is None:
        return f"{metric.value:{form}}"
    return f"{metric.value:{form}} ({metric.low:{form}} to {metric.high:{form}})"


def study_markdown(page: StudyPage) -> str:
    """The page for a repository; it shows FOREST, which stands beside it."""
    lines = [f"# {page.title}", ""]
    lines += [*_paragraph(page.takeaway), *_bullets(page.summary), page.question, ""]
    lines += _bullets(page.remarks)
    if page.claims:
        lines += ["## Claims", "", *_claims(page.claims), ""]
    for table in page.tables:
        lines += [f"## {table.name}", "", table.how, "", *_results(table), ""]
    if page.tables:
        lines += [f"![Value of every row with its interval]({FOREST})", ""]
    lines += ["## What was run", "", "```text", *page.commands, "```", ""]
    lines += _table(("data set", "what it is"), page.data)
    lines += _table(("row", "recipe and settings", "starts from", "runs"), page.rows)
    lines += _table(("", ""), page.facts)
    return "\n".join(lines).rstrip() + "\n"


def study_html(page: StudyPage, forest: bytes) -> str:
    """The page to look at; nothing on it comes from the network."""
    return render(
        "study",
        {
            "title": page.title,
            "page": page,
            "between": between,
            "results": [(table, _cells(table)) for table in page.tables],
            "forest": "data:image/png;base64," + base64.b64encode(forest).decode(),
            "software": f"fourview {fourview.__version__}",
        },
    )


def forest_png(tables: Sequence[MeasureTable]) -> bytes:
    """Every row of every measure as a point with its interval, and its runs as small marks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - a second that other pages do not need
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second that other pages do not need

    heights = [len(table.results) + 2 for table in tables] or [1]
    figure = Figure(figsize=(WIDTH_IN, LINE_IN * sum(heights) + 0.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)  # no window
    for axes, table in zip(
        figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0],
        tables,
        strict=False,
    ):
        for place, result in enumerate(table.results):
            axes.plot(result.per_run, [place] * len(result.per_run), "|", color="0.6", ms=7)
            metric = result.metric
            if metric.value is None:
                continue
            if metric.low is not None and metric.high is not None:
                axes.plot([metric.low, metric.high], [place, place], color="#2f5d8a", lw=1.6)
            axes.plot([metric.value], [place], "o", color="#2f5d8a", ms=4.5)
            if result.way == table.reference:
                axes.axvline(metric.value, color="0.75", lw=0.8, ls="--", zorder=0)
        axes.set_yticks(range(len(table.results)), [r.way for r in table.results], fontsize=8)
        axes.set_ylim(len(table.results) - 0.4, -0.6)
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(table.name, fontsize=9, loc="left")
        axes.grid(axis="x", alpha=0.25)
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _claims(claims: Sequence[ClaimLine]) -> list[str]:
    head = ("claim", "about", "value (95 %)", "has to be", "answer")
    rows = []
    for claim in claims:
        answer = f"**{claim.verdict}**"
        text = claim.text
        if claim.control is not None:
            text = f"{claim.control} control: {text}"
            answer += ", as it must" if claim.as_it_must else ", **which it must not**"
        rows.append((text, claim.about, between(claim.value, "+.3f"), claim.need, answer))
    return _table(head, rows)[:-1]


def _results(table: MeasureTable) -> list[str]:
    head = ["row", "value (95 %)", "runs"]
    if table.reference is not None:
        head.append(f"less {table.reference}")
    return _table(head, _cells(table))[:-1]


def _cells(table: MeasureTable) -> list[tuple[str, ...]]:
    """Row, value, runs and, where there is a reference, the difference."""
    cells = []
    for result in table.results:
        runs = ", ".join(f"{value:.3f}" for value in result.per_run)
        cell = [result.way, between(result.metric), runs]
        if table.reference is not None:
            cell.append("" if result.gap is None else between(result.gap, "+.3f"))
        cells.append(tuple(cell))
    return cells


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table and a blank line; nothing where there are no rows."""
    if not rows:
        return []
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_cell, line)) + " |" for line in lines] + [""]


def _cell(text: str) -> str:
    return escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


def _bullets(lines: Sequence[str]) -> list[str]:
    return [*(f"- {line}" for line in lines), ""] if lines else []


def _paragraph(text: str) -> list[str]:
    return [*text.strip().splitlines(), ""] if text.strip() else []
