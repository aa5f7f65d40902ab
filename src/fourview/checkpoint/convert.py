"""Published weights of others -> a checkpoint of ours: every name accounted for, no code run."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fourview.checkpoint.card import ModelCard, save_checkpoint
from fourview.checkpoint.ensemble import Ensemble, write_ensemble
from fourview.contract import ModelFamily, PublishedWeights
from fourview.errors import CheckpointError
from fourview.fingerprint import digest_of_file
from fourview.models.find import family_names, find_family
from fourview.preprocess.spec import pixel_spec
from fourview.suggest import no_such

SHOWN = 12  # names in an error; the rest is counted


def published_names() -> list[str]:
    """All published weights that can be converted."""
    return sorted([*(weights.name for _, weights in _all()), *_ensembles()])


def convert(
    sources: Sequence[Path | str],
    name: str,
    out: Path | str,
    *,
    spec: str | None = None,
    accept_licence: bool = False,
    renamed: Path | str | None = None,
) -> ModelCard:
    """Turn published files into a checkpoint folder that ``load_model`` reads.

    A file of safetensors is read as it is; any other is unpickled in a child process that builds
    nothing but tensors and containers.

    Args:
        sources: The file, as its authors published it; two where weights are in two files.
        name: Name of the weights: ``gmic-1``; see ``published_names``.
        out: Folder of the checkpoint.
        spec: Pixels that they are to read; None takes the usual ones.
        accept_licence: Whether the caller has read the licence and accepts it.
        renamed: JSON object of names in the file and names that are expected instead, for files
            whose names differ from those known here.

    Raises:
        CheckpointError: Unknown weights, a licence that was not accepted, a file that cannot be
            read without running code, names without a place or places without a name, or shapes
            that do not fit; nothing is written then.
    """
    ensembles = _ensembles()
    if name in ensembles:
        return _convert_all(sources, name, Path(out), ensembles[name], spec=spec, renamed=renamed)
    family, weights = find_published(name)
    if weights.consent and not accept_licence:
        raise CheckpointError(
            f"{name}: the licence of these weights is: {weights.licence}. "
            "Read it where you got the file; to go on add --accept-licence"
        )
    if spec is not None and spec not in weights.pixel_specs:
        raise CheckpointError(
            f"{name} cannot read '{spec}'; it reads: {', '.join(weights.pixel_specs)}"
        )
    files = [Path(source) for source in sources]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(2, "not found", str(file))
    state = _with_other_names(_joined(files), None if renamed is None else Path(renamed))
    model = family.build(weights.config)
    where = " + ".join(str(file) for file in files)
    placed = place(state, weights, model.state_dict(), where=where)
    model.load_state_dict(placed, strict=True)
    digests = ", ".join(digest_of_file(file) for file in files)
    return save_checkpoint(
        Path(out),
        model,
        recipe=f"{family.name}:{name}",
        family=family.name,
        config=weights.config,
        spec=pixel_spec(spec or weights.pixel_specs[0]),
        terms=f"weights under {weights.licence} ({weights.source})",
        may_release=weights.may_release,
        trained_on=f"unknown to us; converted from files with SHA-256 {digests}",
        licence=weights.licence,
    )


def _convert_all(
    sources: Sequence[Path | str],
    name: str,
    out: Path,
    family: ModelFamily,
    *,
    spec: str | None,
    renamed: Path | str | None,
) -> ModelCard:
    """Convert each network of an ensemble into its own folder, then write what makes them one."""
    if spec is not None:
        raise CheckpointError(f"{name}: each of its networks reads pixels of its own; leave --spec")
    members = family.ensembles[name]
    cards = [convert(sources, each, out / each, renamed=renamed) for each in members]
    write_ensemble(out, Ensemble(recipe=f"{family.name}:{name}", members=members))
    return replace(
        cards[0],
        recipe=f"{family.name}:{name}",
        pixel_spec=" + ".join(card.pixel_spec for card in cards),
        digest=" + ".join(card.digest for card in cards),
    )


def _ensembles() -> dict[str, ModelFamily]:
    families = [find_family(name) for name in family_names()]
    return {name: family for family in families for name in family.ensembles}


def find_published(name: str) -> tuple[ModelFamily, PublishedWeights]:
    """The family and weights of that name.

    Raises:
        CheckpointError: There are none; the message names the nearest.
    """
    for family, weights in _all():
        if weights.name == name:
            return family, weights
    raise CheckpointError(no_such("published weights", name, published_names()))


def place(
    state: Mapping[str, Tensor],
    weights: PublishedWeights,
    wanted: Mapping[str, Tensor],
    *,
    where: str,
) -> dict[str, Tensor]:
    """The tensors under our names.

    Args:
        state: Tensors by published name.
        weights: The published weights, which say how names are replaced.
        wanted: Tensors with the shapes that are needed, by our name.
        where: Name of the source, for errors.

    Raises:
        CheckpointError: See ``convert``.
    """
    canonical = _without_aliases(state, weights, where)
    placed: dict[str, Tensor] = {}
    unplaced: list[str] = []
    for name, value in canonical.items():
        ours = _renamed(name, weights.names)
        if ours is None or ours not in wanted or ours in placed:
            unplaced.append(f"{name} {list(value.shape)}")
        else:
            placed[ours] = value if weights.change is None else weights.change(ours, value)
    missing = [f"{k} {list(v.shape)}" for k, v in wanted.items() if k not in placed]
    if unplaced or missing:
        raise CheckpointError(
            f"{where}: is not {weights.name}: {len(unplaced)} names have no place "
            f"({_some(unplaced)}), {len(missing)} weights have no name ({_some(missing)}); check "
            "which weights the file holds, or give --names with a JSON object of old and new names"
        )
    wrong = [
        f"{k} is {list(v.shape)}, need {list(wanted[k].shape)}"
        for k, v in placed.items()
        if v.shape != wanted[k].shape
    ]
    if wrong:
        raise CheckpointError(f"{where}: is not {weights.name}: shapes differ: {_some(wrong)}")
    broken = [k for k, v in placed.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise CheckpointError(f"{where}: not all numbers are finite in {_some(broken)}")
    return {k: v.to(wanted[k].dtype) for k, v in placed.items()}


def _all() -> list[tuple[ModelFamily, PublishedWeights]]:
    families = [find_family(name) for name in family_names()]
    return [(family, weights) for family in families for weights in family.published]


def _joined(sources: Sequence[Path]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for source in sources:
        state = _read_in_child(source)
        twice = sorted(set(tensors) & set(state))
        if twice:
            raise CheckpointError(f"{source}: has names of another file too ({_some(twice)})")
        tensors |= state
    return tensors


def _read_in_child(source: Path) -> dict[str, Tensor]:
    if source.suffix == ".safetensors":
        try:
            return load_file(source)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{source}: cannot be read as safetensors: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tensors.safetensors"
        command = [
            sys.executable,
            "-P",
            "-m",
            "fourview.checkpoint.unpickle",
            str(source),
            str(out),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["it stopped without a word"])[-1]
            raise CheckpointError(
                f"{source}: cannot be read as plain tensors: {reason}; need a state dict"
            )
        others = [line for line in done.stdout.splitlines() if line]
        if others:
            raise CheckpointError(
                f"{source}: holds more than tensors ({_some(others)}); need a state dict alone"
            )
        return load_file(out)


def _with_other_names(state: dict[str, Tensor], renamed: Path | None) -> dict[str, Tensor]:
    if renamed is None:
        return state
    try:
        names = TypeAdapter(dict[str, str]).validate_json(renamed.read_bytes())
    except ValidationError as error:
        raise CheckpointError(
            f"{renamed}: {error.errors()[0]['msg']}; need a JSON object of old and new names"
        ) from error
    unknown = sorted(set(names) - set(state))
    if unknown:
        raise CheckpointError(
            f"{renamed}: the file has no {_some(unknown)}; give names that it has"
        )
    renamed_state = {names.get(name, name): value for name, value in state.items()}
    if len(renamed_state) < len(state):
        raise CheckpointError(f"{renamed}: two tensors get one name; give each its own")
    return renamed_state


def _without_aliases(
    state: Mapping[str, Tensor], weights: PublishedWeights, where: str
) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    for name, value in state.items():
        if any(re.fullmatch(expression, name) for expression in weights.unused):
            continue
        original = _renamed(name, weights.aliases)
        if original is None or original not in state:
            kept[name] = value
        elif not torch.equal(value, state[original]):
            raise CheckpointError(
                f"{where}: '{name}' should repeat '{original}', but differs; the file is not "
                f"{weights.name} as published"
            )
    return kept


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str | None:
    for expression, replacement in rules:
        match = re.fullmatch(expression, name)
        if match is not None:
            return match.expand(replacement)
    return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) + more) or "none"


def as_json(card: ModelCard, out: Path) -> str:
    """What was made, for ``--json``."""
    shown: dict[str, Any] = {
        "out": str(out),
        "recipe": card.recipe,
        "pixel_spec": card.pixel_spec,
        "licence": card.licence,
        "may_release": card.may_release,
        "digest": card.digest,
    }
    return json.dumps(shown)
