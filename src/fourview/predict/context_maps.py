"""Heatmaps of a context network for every image of a store, made once for a network's weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.checkpoint.card import load_checkpoint
from fourview.contract import ExamBatch, ModelFamily, ModelOutput
from fourview.entities import Manifest
from fourview.errors import CheckpointError
from fourview.feeds.context import ContextMaps, have_maps, write_maps
from fourview.feeds.kinds.exams import ExamFeed
from fourview.feeds.samples import make_samples
from fourview.predict.samples import Progress, batches
from fourview.store.store import Store


def context_of(
    checkpoint: Path,
    manifest: Manifest,
    store: Store,
    *,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> ContextMaps:
    """The maps of a checkpoint over a store; made first where they are missing.

    Args:
        checkpoint: Folder of the context network's weights.
        manifest: Whose exams: the network may read the images of an exam together.
        store: Their pixels, of the network's spec.
        batch_size: Exams at a time.
        device: Where to compute.
        progress: Called with exams done and exams in all.

    Raises:
        CheckpointError: The network has no maps, or reads other pixels than the store holds.
    """
    model, card, family = load_checkpoint(checkpoint)
    if card.fingerprint != store.fingerprint:
        raise CheckpointError(
            f"{checkpoint}: the context {card.recipe} reads {card.pixel_spec} {card.fingerprint}, "
            f"the store holds {store.spec.name} {store.fingerprint}; train both on one spec"
        )
    if not have_maps(store, card.digest):
        ids = store.table["image_id"].to_list()
        feed = ExamFeed(make_samples(manifest, classes={}, in_store=ids), store)
        maps = _maps(model.to(device).eval(), family, feed, batch_size, device, progress)
        first = next(maps)
        channels, rows, cols = first[1].shape[1:]
        write_maps(
            store,
            recipe=card.recipe,
            digest=card.digest,
            shape=(channels, rows, cols),
            maps=_chain(first, maps),
        )
    return ContextMaps.open(store, card.digest)


def saliency_of(
    model: nn.Module, family: ModelFamily, batch: ExamBatch
) -> Float[Tensor, "image map cell_row cell_col"]:
    """The maps that a network gives as context: its saliency, or its heatmaps where it has none.

    Raises:
        CheckpointError: It has neither.
    """
    with torch.no_grad():
        output: ModelOutput = model(batch)
        if output.saliency is None and family.explain is not None:
            output = family.explain(model, batch)
    maps = output.saliency if output.saliency is not None else output.heatmaps
    if maps is None:
        raise CheckpointError(f"the family '{family.name}' gives no maps; take a context that does")
    return maps.detach().float()


def _maps(
    model: nn.Module,
    family: ModelFamily,
    feed: ExamFeed,
    batch_size: int,
    device: torch.device | str,
    progress: Progress | None,
) -> Iterator[tuple[list[str], np.ndarray]]:
    done = 0
    for samples, batch in batches(feed, batch_size):
        maps = saliency_of(model, family, batch.to(device))
        yield [image for sample in samples for image in sample.images], maps.cpu().numpy()
        done += len(samples)
        if progress is not None:
            progress(done, len(feed))


def _chain(
    first: tuple[list[str], np.ndarray], rest: Iterator[tuple[list[str], np.ndarray]]
) -> Iterator[tuple[list[str], np.ndarray]]:
    yield first
    yield from rest
