"""A study from its declaration to its page: train what is missing, measure, judge, write.

OUT/declared.toml   the declaration as it was when the first run began
OUT/data, runs, measured   see ``study_data``, ``study_runs``, ``study_measures``
OUT/page.md, page.html, forest.png, study.json   what came out
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourview.disk import write_bytes, write_text
from fourview.errors import StudyError
from fourview.evaluate.labels import counted
from fourview.evaluate.resample import REPLICATES
from fourview.outside import use_module
from fourview.report.study_page import (
    FOREST,
    forest_png,
    study_html,
    study_markdown,
)
from fourview.study.declaration import Study
from fourview.study.read_study import function_of, read_study
from fourview.study.study_data import Progress, make_data
from fourview.study.study_measures import Judged, Measured, Measuring, judged, specs_to_measure
from fourview.study.study_runs import ordered_runs, require_as_declared, spec_of
from fourview.study.study_train import train_missing
from fourview.study.study_words import as_dict, data_words, page_of, recipe_words
from fourview.suggest import no_such
from fourview.train.inputs import differences

DECLARED = "declared.toml"
PAGE, HTML, RESULT = "page.md", "page.html", "study.json"
LATER = ("takeaway", "title", "question")  # words, which decide no number


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What belongs to a call and not to the study.

    Attributes:
        jobs: Runs at a time.
        devices: Where to compute, taken in turn; None takes the best there is.
        rows: Only these are trained; empty for all.
        seeds: Only these are trained; empty for all.
        cache_bytes: Memory for pixels, as ``train`` takes it, of all runs together.
        replicates: Replicates of the bootstrap.
        workers: Processes that make data.
    """

    jobs: int = 1
    devices: tuple[str | None, ...] = (None,)
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    cache_bytes: int = 4 << 30
    replicates: int = REPLICATES
    workers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """What came out.

    Attributes:
        page: The Markdown page.
        measured: Measures of which there are runs.
        claims: Claims with their answers.
        failed: Reason of each run that failed.
        missing: Number of runs that are not done.
    """

    page: Path
    measured: tuple[Measured, ...]
    claims: tuple[Judged, ...]
    failed: Mapping[str, str]
    missing: int


def load_study(path: Path, data: Mapping[str, tuple[Path, Path | None]]) -> tuple[Study, str]:
    """The declaration, with the data sets that the command line names, and its text.

    Args:
        path: Path of the file, or a shipped study's name.
        data: Manifest and store by the name of the data set.

    Raises:
        StudyError: It cannot be used as it stands.
    """
    study, text = read_study(path)
    for module in study.modules:
        use_module(module)
    sets = dict(study.data)
    for name, (manifest, store) in data.items():
        if name not in sets:
            raise StudyError(f"--data: {no_such('data set', name, sets)}")
        changed = {"phantom": None, "manifest": manifest, "store": store}
        sets[name] = sets[name].model_copy(update=changed)
    study = study.model_copy(update={"data": sets})
    for measure in study.measures:
        if measure.function is not None:
            function_of(measure.function)
    for row in study.rows:
        spec_of(study, row)  # an unknown recipe or setting is said before anything is made
    return study, text


def run_study(
    study: Study,
    text: str,
    out: Path,
    *,
    how: How,
    command: str,
    progress: Progress,
    say: Callable[[str], None],
) -> StudyResult:
    """Make data, train what is missing, measure, and write the pages; what is there is kept.

    Args:
        study: The study as ``load_study`` gives it.
        text: Text of its declaration.
        out: Folder of the study.
        how: What belongs to this call.
        command: The command as it was typed, for the page.
        progress: Called with what is done, how much, and of how much.
        say: Called with a line for each run.

    Raises:
        StudyError: The folder is another study's, or nothing can be measured.
    """
    for name in how.rows:
        if name not in study.rows:
            raise StudyError(f"--rows: {no_such('row', name, study.rows)}")
    changes = _declare(study, text, out)
    every = ordered_runs(study, out, tuple(study.rows), _all_seeds(study))
    require_as_declared(study, every)
    specs = specs_to_measure(study, lambda row: spec_of(study, row))
    data = make_data(study, out, specs, workers=how.workers, progress=progress)
    wanted = ordered_runs(study, out, how.rows or tuple(study.rows), how.seeds or _all_seeds(study))
    failed = train_missing(
        study,
        out,
        wanted,
        data,
        jobs=how.jobs,
        devices=how.devices,
        cache_bytes=how.cache_bytes,
        progress=progress,
        say=say,
    )
    measuring = Measuring(
        study, out, data, device=how.devices[0], replicates=how.replicates, progress=progress
    )
    measured = tuple(m for m in map(measuring.measure, study.measures) if m is not None)
    answers = judged(measuring, study.claims)
    missing = [run.name for run in every if not run.is_done]
    remarks = _remarks(missing, len(every), failed, changes)
    page = page_of(study, out, measured, answers, command, remarks)
    forest = forest_png(page.tables)
    write_bytes(out / FOREST, forest)
    write_text(out / PAGE, study_markdown(page))
    write_text(out / HTML, study_html(page, forest))
    write_text(out / RESULT, json.dumps(as_dict(study, measured, answers), indent=2) + "\n")
    return StudyResult(
        page=out / PAGE, measured=measured, claims=answers, failed=failed, missing=len(missing)
    )


def plan_lines(study: Study, out: Path, how: How) -> list[str]:
    """What a call would do: data sets, rows, runs that are done and to do, and about how long."""
    lines = [f"{study.title} ({study.name})"]
    for name, specs in specs_to_measure(study, lambda row: spec_of(study, row)).items():
        lines.append(f"data {name}: {data_words(study, name)}; pixels {', '.join(sorted(specs))}")
    runs = ordered_runs(study, out, how.rows or tuple(study.rows), how.seeds or _all_seeds(study))
    todo = 0.0
    for row in study.rows:
        own = [run for run in runs if run.row == row]
        done = [run.seconds[1] for run in own if run.is_done]
        left = len(own) - len(done)
        each = sum(done) / len(done) if done else None
        todo = todo + left * each if each is not None else float("nan") if left else todo
        pace = "" if each is None else f", {each:.0f} s each"
        lines.append(f"row {row}: {recipe_words(study, row)}; {len(done)} of {len(own)} done{pace}")
    duration = f", about {todo / max(how.jobs, 1) / 60:.0f} min" if not math.isnan(todo) else ""
    left = sum(not run.is_done for run in runs)
    lines.append(f"{left} of {len(runs)} runs to do{duration}")
    lines.append(
        f"{counted(len(study.measures), 'measure')}, {len(study.claims)} claims and controls"
    )
    return lines


def _all_seeds(study: Study) -> tuple[int, ...]:
    return tuple(sorted({seed for row in study.rows for seed in study.seeds_of(row)}))


def _declare(study: Study, text: str, out: Path) -> list[tuple[str, Any, Any]]:
    """Keep the declaration before the first run; what has changed in it since.

    Raises:
        StudyError: The folder holds another study.
    """
    path = out / DECLARED
    if not path.exists():
        if out.is_dir() and any(out.iterdir()):
            raise StudyError(f"{out}: holds other things than a study; name a new folder with -o")
        write_text(path, text)
        return []
    first, _ = read_study(path)
    if first.name != study.name:
        raise StudyError(f"{out}: holds the study '{first.name}'; name another folder with -o")
    there, here = (_deciding(one) for one in (first, study))
    return list(differences(there, here))


def _deciding(study: Study) -> dict[str, Any]:
    """What decides numbers and answers; measures and claims by their names, paths left out."""
    declaration = json.loads(study.model_dump_json(exclude=set(LATER)))
    declaration["measures"] = {each["name"]: each for each in declaration["measures"]}
    declaration["claims"] = {each["text"]: each for each in declaration["claims"]}
    for each in declaration["data"].values():
        each.pop("manifest"), each.pop("store")
    return declaration  # type: ignore[no-any-return]


def _remarks(
    missing: Sequence[str],
    planned: int,
    failed: Mapping[str, str],
    changes: Sequence[tuple[str, Any, Any]],
) -> list[str]:
    remarks = []
    if missing:
        shown = ", ".join(missing[:6]) + (" ..." if len(missing) > 6 else "")
        remarks.append(f"{len(missing)} of {planned} runs are not done: {shown}.")
    remarks += [f"{name} failed: {why}" for name, why in failed.items()]
    remarks += [
        f"Declared otherwise when the first run began: {key} was {_short(old)}, now {_short(new)}."
        for key, old, new in changes
    ]
    return remarks


def _short(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else text[:77] + "..."
