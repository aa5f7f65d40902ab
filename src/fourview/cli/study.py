"""``fourview study``: recipes x seeds x data sets as one declared table, and its page."""

import json as jsonlib
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.errors import StudyError
from fourview.evaluate.resample import REPLICATES
from fourview.report.study_page import between
from fourview.study.study import How, load_study, plan_lines, run_study
from fourview.study.study_words import as_dict

GIBIBYTE = 2**30


def study(
    declaration: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    data: tuple[str, ...] = (),
    rows: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    plan: bool = False,
    jobs: Some = 1,
    device: tuple[str, ...] = (),
    workers: Some = 2,
    replicates: int = REPLICATES,
    cache_gb: float = 4.0,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Train what is missing of a study, measure it, and write one page; the same command goes on.

    A study is a TOML file (docs/studies.md): data sets, rows (recipes with settings), measures,
    claims and controls. Intervals are over seeds and patients. The declaration is kept before the
    first run; what is changed later stands on the page.

    Args:
        declaration: The file, or the name of a study that the package ships (fourview list
            studies).
        out: Folder for data, runs, page.md, page.html, forest.png and study.json.
        data: NAME=MANIFEST or NAME=MANIFEST,STORE: your own data for a data set of the study; may
            be repeated.
        rows: Train only these, with what they start from; may be repeated.
        seeds: Train only these; may be repeated.
        plan: Print what would be run, and compute nothing.
        jobs: Runs at a time, each in a process of its own where there are several.
        device: Where to compute: cpu, cuda, cuda:1; may be repeated, and is taken in turn by the
            runs that go at a time.
        workers: Processes that make phantoms and stores.
        replicates: Replicates of the bootstrap.
        cache_gb: Keep pixels in memory where they take no more than this, for all runs together.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print what came out as JSON.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # functions of a study stand beside it, as modules of --module do
    use_modules(module)
    declared, text = load_study(declaration, dict(_given(each) for each in data))
    how = How(
        jobs=jobs,
        devices=device or (None,),
        rows=rows,
        seeds=seeds,
        cache_bytes=int(cache_gb * GIBIBYTE),
        replicates=replicates,
        workers=workers,
    )
    if plan:
        for line in plan_lines(declared, out, how):
            say(line)
        return
    typed = [f"--data {name.partition('=')[0]}=MANIFEST" for name in data]
    command = " ".join(["fourview study", shlex.quote(str(declaration)), "-o OUT", *typed])
    with progress_bar(quiet=json) as update:
        result = run_study(
            declared,
            text,
            out,
            how=how,
            command=command,
            progress=update,
            say=lambda line: say(line, to=sys.stderr),
        )
    if json:
        print(jsonlib.dumps(as_dict(declared, result.measured, result.claims)))
    else:
        for answer in result.claims:
            control = "" if answer.claim.control is None else f"{answer.claim.control} control: "
            say(f"{control}{answer.claim.text}: {answer.verdict} {between(answer.value, '+.3f')}")
        if result.missing:
            say(f"{result.missing} runs are not done; the same command goes on")
        say(f"page: {result.page.with_suffix('.html')}")
    if result.failed:
        first = next(iter(result.failed))
        raise StudyError(
            f"{len(result.failed)} runs failed, such as {first}: {result.failed[first]}"
        )


def _given(text: str) -> tuple[str, tuple[Path, Path | None]]:
    """NAME=MANIFEST or NAME=MANIFEST,STORE."""
    name, equals, places = text.partition("=")
    manifest, comma, store = places.partition(",")
    if not equals or not manifest or (comma and not store):
        raise StudyError(f"--data {text}: need NAME=MANIFEST, or NAME=MANIFEST,STORE")
    return name, (Path(manifest), Path(store) if store else None)
