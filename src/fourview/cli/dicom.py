"""``fourview dicom``: a prediction that was made becomes standard DICOM objects."""

import json as jsonlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from fourview.cli.kinds import Kinds
from fourview.cli.say import say
from fourview.errors import ReportError
from fourview.report.dicom.options import DEFAULT_KINDS, DicomOptions, DicomPaths, parse_kinds
from fourview.report.dicom.result_file import exam_of, read_result


def dicom(
    result: Path,
    study: list[Path],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    kinds: Annotated[Kinds, Parameter(name="--as")] = None,
    required_at: Annotated[float | None, Parameter(validator=Number(gte=0, lte=1))] = None,
    named: bool = False,
    distortion: bool = False,
    created: datetime | None = None,
    json: bool = False,
) -> None:
    """Write a prediction as DICOM: CAD SR, presentation states, a picture, measurements, heatmaps.

    The same arguments give the same bytes, and so the same identifiers.

    Args:
        result: The result.json that ``fourview read`` wrote, or its folder.
        study: The files or folders that were read for it.
        out: Folder to write to: cad-sr.dcm, gsps-R-CC.dcm, ...; files of the same names are
            replaced.
        kinds: Objects to write, with commas between them: cad-sr, gsps, sc, sr1500, seg; default
            stands for the first three, all for all.
        required_at: Viewers have to show findings from this score on, and may show the others.
            Without it they have to show all.
        named: Write findings that somebody named and no model scored, too.
        distortion: Give architectural distortions their own code; some viewers show only densities
            and calcification clusters.
        created: Date and time of the objects, such as 2026-11-29T07:09:00; without it those of the
            prediction.
        json: Print what was written as JSON.
    """
    from fourview.report.dicom.write import write_dicom  # noqa: PLC0415 - `read` needs `show` only

    prediction, made = read_result(result)
    options = DicomOptions(
        kinds=DEFAULT_KINDS if kinds is None else parse_kinds(kinds),
        created=created or made or datetime.now(UTC).replace(microsecond=0),
        required_at=required_at,
        named=named,
        distortion=distortion,
    )
    paths = write_dicom(prediction, exam_of(prediction, study), out, options=options)
    if json:
        print(jsonlib.dumps(_as_json(paths)))
    else:
        show(paths, out)
    if not paths.files:
        raise ReportError(f"nothing was written to {out}: no image gives what was asked for")


def show(paths: DicomPaths, out: Path, indent: str = "") -> None:
    """Say what was written, and what could not be made."""
    names = ", ".join(path.name for path in paths.files)
    say(f"{indent}{len(paths.files)} DICOM objects in {out}: {names or 'none'}")
    for missing in paths.not_made:
        say(f"{indent}not made: {missing.name}: {missing.reason}")


def _as_json(paths: DicomPaths) -> dict[str, list[object]]:
    return {
        "files": [str(path) for path in paths.files],
        "not_made": [{"name": n.name, "reason": n.reason} for n in paths.not_made],
    }
