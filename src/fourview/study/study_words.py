"""A study in words and tables: what its page and its JSON say."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fourview
from fourview.entities import Metric
from fourview.evaluate.metrics import label_of
from fourview.report.study_page import ClaimLine, MeasureTable, StudyPage
from fourview.study.declaration import Claim, Study
from fourview.study.study_measures import Judged, Measured
from fourview.study.study_runs import runs_of


def as_dict(
    study: Study, measured: Sequence[Measured], answers: Sequence[Judged]
) -> dict[str, Any]:
    """What came out, as JSON has it."""
    return {
        "study": study.name,
        "fourview": fourview.__version__,
        "measures": [
            {
                "name": m.measure.name,
                "reference": m.measure.reference,
                "rows": [
                    {
                        "row": r.way,
                        "seeds": list(m.seeds[r.way]),
                        "units": m.units[r.way],
                        "runs": list(r.per_run),
                        "value": _numbers(r.metric),
                        "less_reference": None if r.gap is None else _numbers(r.gap),
                    }
                    for r in m.results
                ],
            }
            for m in measured
        ],
        "claims": [
            {
                "text": j.claim.text,
                "measure": j.claim.measure,
                "row": j.claim.row,
                "less": j.claim.less,
                "control": j.claim.control,
                "value": None if j.value is None else _numbers(j.value),
                "verdict": j.verdict,
                "as_it_must": j.as_it_must,
            }
            for j in answers
        ],
    }


def _numbers(metric: Metric) -> dict[str, float | None]:
    fields = asdict(metric)
    return {key: fields[key] for key in ("value", "low", "high")}


def page_of(
    study: Study,
    out: Path,
    measured: Sequence[Measured],
    answers: Sequence[Judged],
    command: str,
    remarks: Sequence[str],
) -> StudyPage:
    """Everything that the page shows, of what is measured so far."""
    done = [run for row in study.rows for run in runs_of(study, out, row) if run.is_done]
    cpu, clock = (sum(run.seconds[k] for run in done) / 60 for k in (0, 1))
    return StudyPage(
        title=study.title,
        question=study.question,
        takeaway=study.takeaway,
        claims=[_claim_line(answer) for answer in answers],
        tables=[
            MeasureTable(
                name=m.measure.name,
                how=_how_measured(study, m),
                reference=m.measure.reference,
                results=m.results,
                seeds={row: len(seeds) for row, seeds in m.seeds.items()},
            )
            for m in measured
        ],
        data=[(name, data_words(study, name)) for name in study.data],
        rows=[
            (
                name,
                recipe_words(study, name),
                ", ".join(study.needs(name)) or (row.start or ""),
                _done_words(study, out, name),
            )
            for name, row in study.rows.items()
        ],
        commands=[command],
        facts=[
            ("time of training", f"{cpu:.0f} min of processor, {clock:.0f} min by the clock"),
            ("intervals", "95 %, percentiles of replicates that draw seeds and patients"),
            ("software", f"fourview {fourview.__version__}"),
        ],
        remarks=remarks,
    )


def _done_words(study: Study, out: Path, row: str) -> str:
    runs = runs_of(study, out, row)
    return f"{sum(run.is_done for run in runs)} of {len(runs)}"


def _claim_line(answer: Judged) -> ClaimLine:
    claim = answer.claim
    less = "" if claim.less is None else f" less {claim.less}"
    return ClaimLine(
        text=claim.text,
        about=f"{claim.measure}: {claim.row}{less}",
        value=answer.value,
        need=_need(claim),
        verdict=answer.verdict,
        control=claim.control,
        as_it_must=answer.as_it_must,
    )


def _need(claim: Claim) -> str:
    if claim.between is not None:
        return f"{claim.between[0]:g} to {claim.between[1]:g}"
    return f"above {claim.above:g}" if claim.above is not None else f"below {claim.below:g}"


def _how_measured(study: Study, measured: Measured) -> str:
    """How a measure was made: by what, on what, and over how many runs."""
    measure = measured.measure
    by = measure.function or f"{label_of(measure.metric)} by {measure.protocol}"
    if measure.function is not None and measure.arguments:
        by += f" ({', '.join(f'{k} = {v}' for k, v in measure.arguments.items())})"
    if measure.function is not None:
        by += f", {measure.statistic} of {measure.column}" if measure.statistic == "mean" else ""
        by += "" if measure.less is None else f" less {measure.less}"
    on = "the test part"
    row = next(iter(measured.seeds))
    if measure.on is not None:
        same = study.exams_of(measure.on) == study.exams_of(study.data_of(row))
        on = f"{'the test part' if same else 'all'} of '{measure.on}'"
    if measure.part is not None:
        on = f"the part '{measure.part}' of '{measure.on or study.data_of(row)}'"
    views = f", only {' and '.join(measure.views)}" if measure.views else ""
    seeds = sorted({len(seeds) for seeds in measured.seeds.values()})
    runs = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    return f"{by}; {on}{views}; {runs} runs of each row."


def data_words(study: Study, name: str) -> str:
    """One line about a data set."""
    data = study.data[name]
    if data.like is not None:
        words = f"the exams of '{data.like}'"
    elif data.phantom is None:
        words = "no manifest yet" if data.manifest is None else f"the manifest {data.manifest.name}"
    else:
        p = data.phantom
        changed = "".join(f", {k} = {v}" for k, v in p.change.items())
        rows = "" if p.rows is None else f", {p.rows} rows"
        words = (
            f"{p.exams} phantom exams of preset {p.preset}{changed}, seed {p.seed}{rows}, "
            f"machines {', '.join(p.vendors)}"
        )
    if data.choose is not None:
        words += f"; {data.choose}"
    if data.split is not None:
        s = data.split
        words += f"; patients {s.train:g} / {s.validation:g} / {s.test:g}, seed {s.seed}"
    return words


def recipe_words(study: Study, row: str) -> str:
    """A row's recipe with its settings, as ``train`` takes them."""
    settings = " ".join(f"--set {text}" for text in (*study.set, *study.rows[row].set))
    return f"{study.rows[row].recipe} {settings}".strip()
