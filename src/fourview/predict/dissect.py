"""What a trained network uses: its scores on a data set with one thing taken away at a time.

Nothing is trained. The family says what can be taken away (``contract.Dissection``). This module
reads the data, chooses a stranger for each image (an image of another patient), and writes the
scores as predictions tables, which are measured like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourview.contract import Dissection, ExamBatch, Switch
from fourview.entities import Manifest
from fourview.errors import CheckpointError
from fourview.feeds.batches import Batches
from fourview.feeds.feed import Feed
from fourview.models.find import family_names, find_family
from fourview.predict.network import Network
from fourview.predict.table import prediction_rows, table_of
from fourview.store.store import Store

AS_IT_IS = "as it is"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissected:
    """What one network says with one thing taken away at a time.

    Attributes:
        tables: Predictions by switch; ``as it is`` first, then those that the network has.
        switches: All of its family, with what they do and why some are missing.
        images: How many were read.
        without_stranger: Of these, how many had no other patient's image of their view in
            their batch, and were read with their own.
    """

    tables: Mapping[str, pl.DataFrame]
    switches: tuple[Switch, ...]
    images: int
    without_stranger: int


def dissect(
    network: Network,
    manifest: Manifest,
    store: Store,
    *,
    splits: Sequence[str] | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Dissected:
    """Read a data set as a network does, and with each of its switches.

    The encoder runs twice over every image: constants are means over all that is read.

    Args:
        network: Of a family that can be taken apart.
        manifest: Whose exams.
        store: Their pixels.
        splits: Only exams of these; None takes all.
        batch_size: Exams at a time; strangers are sought among them, so two at least.
        progress: Called with exams done and exams in all, over both passes.

    Raises:
        CheckpointError: The family cannot be taken apart, the store holds other pixels, or there
            is one exam only.
    """
    dissection = dissection_of(network)
    feed = network.feed_of_store(manifest, store, splits)
    if len(feed) < 2:
        raise CheckpointError(
            f"{len(feed)} exams to read, need two or more: queries and views of strangers are "
            "another patient's; name other splits or another manifest"
        )
    has = [switch.name for switch in dissection.switches if not switch.missing]
    names: list[str | None] = [None, *has]
    batches = Batches(feed, _even(len(feed), max(2, batch_size)))
    means = _means(dissection, network, batches, _half(progress, feed, 0))
    rows: dict[str, list[pl.DataFrame]] = {name or AS_IT_IS: [] for name in names}
    images = alone = 0
    step = _half(progress, feed, len(feed))
    for samples, batch in batches:
        stranger = strangers(batch, [sample.patient_id for sample in samples])
        images += batch.num_images
        alone += int((stranger == torch.arange(batch.num_images)).sum())
        there, stranger = batch.to(network.engine.device), stranger.to(network.engine.device)
        with torch.inference_mode():
            features = dissection.features(there)
            for name in names:
                output = dissection.read(name, features, there, stranger=stranger, means=means)
                table = table_of(prediction_rows(samples, output, network.task.classes))
                rows[name or AS_IT_IS].append(table)
        step(len(samples))
    return Dissected(
        tables={name: pl.concat(tables) for name, tables in rows.items()},
        switches=dissection.switches,
        images=images,
        without_stranger=alone,
    )


def dissection_of(network: Network) -> Dissection:
    """What takes a network apart.

    Raises:
        CheckpointError: Its family has no such thing.
    """
    make = network.family.dissect
    if make is None:
        known = [name for name in family_names() if find_family(name).dissect is not None]
        raise CheckpointError(
            f"{network.card.recipe}: family '{network.family.name}' does not say how it can be "
            f"taken apart; these do: {', '.join(known)}"
        )
    return make(network.model)


def strangers(batch: ExamBatch, patients: Sequence[str]) -> Int[Tensor, " image"]:
    """For each image one of another patient: of the same view, on the same side where there is one.

    Exams are taken in turn, the next one first, so that every run reads the same strangers.

    Args:
        batch: Of two exams or more.
        patients: Whose each exam is.

    Returns:
        Index of an image of the batch, a preferred one of its view; the image itself where no other
        patient of the batch has that view.
    """
    preferred = {
        (int(exam), int(slot)): index
        for index, (exam, slot, rank) in enumerate(
            zip(batch.exam.tolist(), batch.slot.tolist(), batch.rank.tolist(), strict=True)
        )
        if rank == 0
    }
    chosen = []
    for index, (exam, slot) in enumerate(
        zip(batch.exam.tolist(), batch.slot.tolist(), strict=True)
    ):
        others = [
            (exam + turn) % batch.num_exams
            for turn in range(1, batch.num_exams)
            if patients[(exam + turn) % batch.num_exams] != patients[exam]
        ]
        places = [(e, slot) for e in others] + [(e, slot ^ 1) for e in others]
        chosen.append(next((preferred[p] for p in places if p in preferred), index))
    return torch.tensor(chosen, dtype=torch.long)


def _means(
    dissection: Dissection,
    network: Network,
    batches: Batches,
    step: Callable[[int], None],
) -> dict[str, Float[Tensor, " dim"]]:
    """Of each vector over all images."""
    sums: dict[str, Tensor] = {}
    count = 0
    for samples, batch in batches:
        there = batch.to(network.engine.device)
        with torch.inference_mode():
            vectors = dissection.vectors(dissection.features(there), there)
        for name, values in vectors.items():
            total = values.double().sum(dim=0).cpu()
            sums[name] = sums[name] + total if name in sums else total
        count += batch.num_images
        step(len(samples))
    return {name: (total / count).to(network.engine.device) for name, total in sums.items()}


def _even(count: int, batch_size: int) -> int:
    """A batch size, no smaller, that leaves no single exam over."""
    while count > batch_size and count % batch_size == 1:
        batch_size += 1
    return batch_size


def _half(progress: Progress | None, feed: Feed, before: int) -> Callable[[int], None]:
    """Counts exams of one of the two passes."""
    done = before

    def step(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, 2 * len(feed))

    return step
