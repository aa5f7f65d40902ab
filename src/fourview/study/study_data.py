"""Data sets of a study: made or given, their patients divided; and a store for each spec.

OUT/data/NAME/phantom      the exams, where they are made here
OUT/data/NAME/manifest     the manifest that is used
OUT/data/NAME/made.json    what it was made of, where the exams are phantoms
OUT/data/NAME/SPEC         its pixels by that pixel spec
What is there is kept.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from fourview.disk import write_text
from fourview.entities import Manifest
from fourview.errors import FourviewError, StudyError
from fourview.json_file import read_json_object
from fourview.manifest.manifest import images_to_read, manifest_hash, read_manifest, write_manifest
from fourview.manifest.split import assign_split
from fourview.phantom.preset import Preset, preset_of
from fourview.phantom.write import write_phantom
from fourview.preprocess.spec import pixel_spec
from fourview.sources.find import find_source
from fourview.store.prepare import prepare
from fourview.store.store import FAILED, Store
from fourview.study.declaration import Data, PhantomData, Study
from fourview.study.read_study import function_of
from fourview.suggest import no_such

MANIFEST = "manifest"
MADE = "made.json"
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set that is ready.

    Attributes:
        manifest: Folder of the manifest.
        stores: Folder of the store, by pixel spec.
    """

    manifest: Path
    stores: Mapping[str, Path]


def make_data(
    study: Study,
    out: Path,
    specs: Mapping[str, set[str]],
    *,
    workers: int,
    progress: Progress,
) -> dict[str, DataSet]:
    """Make what is missing of the data sets.

    Args:
        study: Study whose data are made.
        out: The study's folder.
        specs: Pixel specs that are needed of each data set.
        workers: Processes.
        progress: Called with what is done, how much, and of how much.

    Raises:
        StudyError: A data set has no source, or is another than it was before.
    """
    whole: dict[str, set[str]] = {}
    for name, needed in specs.items():
        whole.setdefault(study.exams_of(name), set()).update(needed)
    made = {
        name: _one(study.data[name], name, out / "data" / name, needed, workers, progress)
        for name, needed in whole.items()
    }
    for name in specs:
        like = study.data[name].like
        if like is not None:
            _derived(
                study.data[name], name, out / "data" / name, read_manifest(made[like].manifest)
            )
            place = out / "data" / name / MANIFEST
            made[name] = DataSet(manifest=place, stores=made[like].stores)
    return made


def preset_with(phantom: PhantomData) -> Preset:
    """The preset with its changes.

    Raises:
        StudyError: A change is of no field.
    """
    preset, changes = preset_of(phantom.preset), dict(phantom.change)
    try:
        for name, value in changes.items():
            if name not in preset.__slots__:
                raise StudyError(f"phantom.change: {no_such('field', name, preset.__slots__)}")
            if isinstance(value, Mapping) and hasattr(getattr(preset, name), "__slots__"):
                changes[name] = replace(getattr(preset, name), **_as_fields(value))
        return replace(preset, **_as_fields(changes))
    except TypeError as error:
        raise StudyError(f"phantom.change: {error}") from error


def _as_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of TOML as the tuples that presets hold."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _one(
    data: Data, name: str, folder: Path, specs: set[str], workers: int, progress: Progress
) -> DataSet:
    if data.phantom is not None:
        _make_phantom(data.phantom, name, folder, workers, progress)
    elif data.manifest is None:
        raise StudyError(
            f"data.{name}: no phantom and no manifest; add --data {name}=MANIFEST, a folder "
            "written by fourview index"
        )
    given = data.manifest
    if given is not None and data.choose is None and data.split is None:
        manifest, place = read_manifest(given), given
    else:
        place = folder / MANIFEST
        base = None if data.phantom is not None or given is None else read_manifest(given)
        manifest = _derived(data, name, folder, base)
    stores = {}
    for spec in sorted(specs):
        if data.store is not None:
            stores[spec] = _given_store(data.store, spec, name)
            continue
        stores[spec] = folder / spec
        if not is_whole(manifest, folder / spec):
            prepare(
                manifest,
                pixel_spec(spec),
                folder / spec,
                workers=workers,
                progress=lambda done, of: progress(f"{name}: pixels", done, of),
            )
    return DataSet(manifest=place, stores=stores)


def _make_phantom(
    phantom: PhantomData, name: str, folder: Path, workers: int, progress: Progress
) -> None:
    if _made_of(folder).get("phantom") == phantom.model_dump(mode="json"):
        return
    write_phantom(
        folder / "phantom",
        num_exams=phantom.exams,
        seed=phantom.seed,
        preset=preset_with(phantom),
        rows=phantom.rows,
        vendors=phantom.vendors,
        syntaxes=phantom.syntaxes,
        workers=workers,
        progress=lambda done, of: progress(f"{name}: phantom exams", done, of),
    )


def _made_of(folder: Path) -> dict[str, Any]:
    """Settings that a data set was made of; empty where it is not made to the end."""
    try:
        return read_json_object(folder / MADE)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{folder / MADE}: {error}; remove it, and the data are checked"
        ) from error


def _derived(data: Data, name: str, folder: Path, base: Manifest | None) -> Manifest:
    """The manifest with what the study chooses of it; ``base`` is None for phantoms made here."""
    place = folder / MANIFEST
    settings = data.model_dump(mode="json", include={"phantom", "choose", "split"})
    made_here = base is None
    if base is None:
        if place.exists() and _made_of(folder) == settings:
            return read_manifest(place)
        base = find_source("phantom")(folder / "phantom")
    manifest = base
    if data.choose is not None:
        manifest = function_of(data.choose)(manifest)
        if not isinstance(manifest, Manifest):
            raise StudyError(
                f"data.{name}.choose: gives a {type(manifest).__name__}, need a Manifest"
            )
    if data.split is not None:
        split = data.split
        shares = {"train": split.train, "validation": split.validation, "test": split.test}
        manifest = assign_split(manifest, shares, split.seed)
    if place.exists() and manifest_hash(read_manifest(place)) != manifest_hash(manifest):
        raise StudyError(
            f"{place}: is of other data than data.{name} now; name a new folder with -o"
        )
    if not place.exists():
        write_manifest(manifest, place)
    if made_here:
        write_text(folder / MADE, json.dumps(settings, indent=1) + "\n")
    return manifest


def is_whole(manifest: Manifest, store: Path) -> bool:
    """Whether every image of a manifest is in a store, or is known to be bad."""
    if not (store / "store.json").exists():
        return False
    failed = store / FAILED
    num_failed = len(pl.read_parquet(failed)) if failed.exists() else 0
    try:
        num_stored = len(Store.open(store).table)
    except (FourviewError, OSError):  # half made; ``prepare`` goes on, or says what is wrong
        return False
    return num_stored + num_failed == len(images_to_read(manifest))


def _given_store(store: Path, spec: str, name: str) -> Path:
    there = Store.open(store).spec.name
    if there != spec:
        raise StudyError(
            f"data.{name}: the store {store} holds {there}, and {spec} is needed; leave the store "
            "out, and each pixel spec is prepared"
        )
    return store
