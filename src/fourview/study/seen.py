"""Which patients a run was trained on, so that nobody is measured on them.

A run's folder lists them in split.json. A checkpoint without its run does not, but its card says by
which shares and seed the patients of which manifest were divided: of the same manifest the same
division is made again. Of any other checkpoint nobody knows.
"""

from dataclasses import replace
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter, ValidationError

from fourview.checkpoint.card import read_card
from fourview.checkpoint.ensemble import members_of
from fourview.entities import Manifest
from fourview.errors import CheckpointError, RecipeError, TrainingError
from fourview.json_file import read_json_object
from fourview.manifest.manifest import manifest_hash
from fourview.run_files import BEST, SPLIT, checkpoint_of
from fourview.study.find_recipe import find_recipe
from fourview.train.recipe import Recipe, SplitConfig
from fourview.train.run import TRAIN, divided


def trained_patients(run: Path, manifest: Manifest) -> frozenset[str] | None:
    """Patients of the part that a run was trained on; None where nobody knows.

    Args:
        run: Run or checkpoint folder.
        manifest: Whose patients are asked about.

    Raises:
        TrainingError: The run's list is damaged.
    """
    members = members_of(run)
    if members != (run,):
        by_member = [trained_patients(member, manifest) for member in members]
        known = [patients for patients in by_member if patients is not None]
        return frozenset().union(*known) if known else None
    path = _run_of(run) / SPLIT
    if path.exists():
        try:
            return frozenset(read_json_object(path)[TRAIN])
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{path}: damaged ({error}); without it nobody knows whom the run was trained on"
            ) from error
    split = _split_of_card(run, manifest)
    if split is None:
        return None
    exams = divided(manifest, split).exams
    return frozenset(exams.filter(pl.col("split") == TRAIN)["patient_id"].to_list())


def divided_as(run: Path, manifest: Manifest) -> Manifest:
    """The manifest with the parts that a run trained, validated and tested on.

    A manifest with a split of its own keeps it; of a run whose parts nobody knows it stays as it
    is.

    Args:
        run: Run or checkpoint folder.
        manifest: The one that it was trained on, or another.

    Raises:
        TrainingError: The run's list is damaged.
    """
    if manifest.exams["split"].is_not_null().any():
        return manifest
    path = _run_of(run) / SPLIT
    if not path.exists():
        split = None if members_of(run) != (run,) else _split_of_card(run, manifest)
        return manifest if split is None else divided(manifest, split)
    try:
        parts = read_json_object(path)
        of = {patient: part for part, patients in parts.items() for patient in patients}
    except (ValueError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{path}: damaged ({error}); without it nobody knows whom the run was trained on"
        ) from error
    own = manifest.exams["patient_id"].replace_strict(of, default=None, return_dtype=pl.String)
    return replace(manifest, exams=manifest.exams.with_columns(own.alias("split")))


def with_split_of(recipe: Recipe, run: Path, manifest: Manifest) -> Recipe:
    """The recipe with the split of the run that it starts from, where both are of one manifest.

    A split that was asked for stays; so does that of another data set.
    """
    split = _split_of_card(run, manifest)
    try:
        usual = find_recipe(recipe.name).split
    except RecipeError:
        usual = SplitConfig()
    return recipe if split is None or recipe.split != usual else replace(recipe, split=split)


def is_of_same_data(run: Path, manifest: Manifest) -> bool:
    """Whether a checkpoint was trained on some manifest of this one's source."""
    try:
        return read_card(checkpoint_of(run)).trained_on.partition(" ")[0] == manifest.source
    except CheckpointError:
        return False


def _run_of(run: Path) -> Path:
    """The run's folder, of its best checkpoint too."""
    full = run.absolute()
    return full.parent.parent if full.parts[-2:] == BEST.parts else run


def _split_of_card(run: Path, manifest: Manifest) -> SplitConfig | None:
    """How the patients were divided; None where the card does not say, or of another manifest."""
    card = read_card(checkpoint_of(run))
    if not card.split or card.trained_on != f"{manifest.source} {manifest_hash(manifest)}":
        return None
    try:
        return TypeAdapter(SplitConfig).validate_python(card.split)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise CheckpointError(f"{run}: its card is damaged: split: {reason}") from error
