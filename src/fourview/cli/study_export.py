"""``fourview study-export``: readings of a reader study as predictions tables."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.say import say
from fourview.serve.study_export import From, export_study


def study_export(
    readings: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    source: Annotated[From, Parameter(name="--from")] = "suspicion",
    json: bool = False,
) -> None:
    """Write a predictions table of each reader and arm, and all answers with their times.

    Args:
        readings: Folder that ``fourview serve --study`` wrote to.
        out: Folder to write to.
        source: What becomes the score: suspicion, birads or recall.
        json: Print what was written as JSON.
    """
    tables = export_study(readings, out, source=source)
    if json:
        print(jsonlib.dumps({"tables": [str(path) for path in tables], "out": str(out)}))
        return
    for path in tables:
        say(str(path))
    say(f"all answers and times: {out / 'readings.parquet'}")
    say(f"what is not measured: {out / 'note.txt'}")
