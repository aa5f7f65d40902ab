"""From what a user names to a room: sources, checks, the threshold of the worklist."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fourview.entities import Manifest
from fourview.errors import EvaluationError, ServeError
from fourview.evaluate.operating import choose_threshold, read_thresholds
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.evaluate.units import gather_units
from fourview.manifest.manifest import manifest_hash, read_manifest
from fourview.run_files import packaged_names
from fourview.serve.annotations import AnnotationStore
from fourview.serve.cohort import Cohort, FolderCohort, ManifestCohort
from fourview.serve.extras import Extras
from fourview.serve.maps import Networks
from fourview.serve.predictions import ResultSource, Source, TableSource, check_manifest_hash
from fourview.serve.room import PROTOCOL, Room

GIGABYTE = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What is to be looked at.

    Attributes:
        exams: DICOM files and folders.
        manifest: Folder of a manifest, instead of those.
        node: Spool of ``fourview node``, instead of those.
        predictions: Predictions tables of the manifest.
        results: Folders of result.json files.
        protocol: Says what a label is and when a mark is a hit.
        thresholds: operating_points.json of another table.
        anyway: Accept tables that were made from another manifest.
        model: Run whose network reads each exam that is opened, or the name of one of the package.
        maps: Language-image run for sentences (mama) or agreement of views (glam).
        annotations: SQLite file of what a person marks.
    """

    exams: Sequence[Path] = ()
    manifest: Path | None = None
    node: Path | None = None
    predictions: Sequence[Path] = ()
    results: Sequence[Path] = ()
    protocol: str = PROTOCOL
    thresholds: Path | None = None
    anyway: bool = False
    model: Path | None = None
    maps: Path | None = None
    annotations: Path = Path("annotations.sqlite")


def open_extras(what: What, *, cache_gb: float, secret: bytes | None = None) -> Extras:
    """The room over what is named, with what is added to its exams.

    Raises:
        FourviewError: Nothing or too much is named, or something cannot be read.
    """
    for run in (what.model, what.maps):
        if run is not None and str(run) not in packaged_names() and not run.exists():
            raise ServeError(f"{run}: no such run; name its folder")
    return Extras(
        room=open_room(what, cache_gb=cache_gb, secret=secret),
        protocol=find_protocol(what.protocol),
        networks=Networks(None if what.model is None else str(what.model), what.maps),
        annotations=AnnotationStore(what.annotations),
    )


def open_room(what: What, *, cache_gb: float, secret: bytes | None = None) -> Room:
    """The room over what is named.

    Raises:
        FourviewError: Nothing or too much is named, or something cannot be read.
    """
    protocol = find_protocol(what.protocol)
    cohort, manifest = _cohort(what)
    if what.predictions and manifest is None:
        raise ServeError("--predictions needs the --manifest that it was made from")
    tables = [
        TableSource(path, protocol.classes[0], manifest, protocol) for path in what.predictions
    ]
    notes = []
    if tables:
        assert manifest is not None
        notes = check_manifest_hash(tables, manifest_hash(manifest), anyway=what.anyway)
    folders = [*what.results] + ([what.node] if what.node is not None else [])
    results = [ResultSource(folder) for folder in folders]
    sources: list[Source] = [*tables, *results]
    room = Room.of(
        cohort,
        sources,
        protocol=protocol,
        cache_bytes=round(cache_gb * GIGABYTE),
        notes=[*notes, *(note for source in results for note in source.notes)],
        secret=secret,
    )
    room.tables = tuple(tables)
    room.threshold, remarks = _threshold(what, tables, manifest, protocol)
    room.notes = (*room.notes, *remarks)
    return room


def _cohort(what: What) -> tuple[Cohort, Manifest | None]:
    named = [bool(what.exams), what.manifest is not None, what.node is not None]
    if sum(named) != 1:
        how_many = "nothing" if not any(named) else "more than one of them"
        raise ServeError(f"name exams, --manifest or --node, one of these; {how_many} is named")
    if what.manifest is not None:
        manifest = read_manifest(what.manifest)
        return ManifestCohort(manifest), manifest
    if what.node is not None:
        received = what.node / "in"
        return FolderCohort([received if received.is_dir() else what.node]), None
    return FolderCohort(what.exams), None


def _threshold(
    what: What, tables: Sequence[TableSource], manifest: Manifest | None, protocol: Protocol
) -> tuple[float | None, tuple[str, ...]]:
    """The operating point of the list, and a note where it was chosen on this very table."""
    if what.thresholds is not None:
        given, _ = read_thresholds(what.thresholds)
        rules = [rule for rule in protocol.operating_points if rule in given] or list(given)
        return (given[rules[0]] if rules else None), ()
    if not tables or manifest is None or not protocol.is_binary or not protocol.operating_points:
        return None, ()
    rule = protocol.operating_points[0]
    try:
        units = gather_units(tables[0].table, manifest, protocol, None)
    except EvaluationError:
        return None, ()
    cut = choose_threshold(units.scores, np.asarray(units.positive), rule)
    if cut is None:
        return None, ()
    return cut, (f"the list's threshold {cut:.3f} is {rule} of this very table",)
