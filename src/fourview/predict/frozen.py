"""Ask frozen networks once, and keep what they say beside the store (``store.said``).

An encoder is asked about the patches of a feed, a context network for the heatmaps of whole images.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from fourview.errors import CheckpointError, RecipeError
from fourview.feeds.coded import CodedFeed
from fourview.feeds.feed import MAPS, Feed
from fourview.feeds.pixels import Pixels
from fourview.fingerprint import digest_of_parts, short
from fourview.nn.weight_bytes import weight_bytes
from fourview.predict.marks import Look
from fourview.store.said import Said

Progress = Callable[[int, int], None]
AT_A_TIME = 32  # patches; more gains nothing on a processor and costs memory
REVISION = 1  # raised when the same settings would give other codes than before


def with_codes(
    feed: Feed,
    encoder: nn.Module | None,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    share: tuple[int, int] = (0, 1),
) -> Feed:
    """The feed with codes in place of the pixels of its patches; missing ones are made first.

    A feed whose patches are drawn anew every time stays as it is.

    Args:
        feed: Of patches.
        encoder: Pixels of patches to a code each, as it is in evaluation mode; None asks nothing.
        device: Where to compute.
        progress: Called with groups of patches done and in all.
        share: Number of this process, and how many there are: each makes its part, and all have to
            wait for each other before they read.

    Raises:
        RecipeError: There is an encoder, and the feed has no patches for it.
    """
    if encoder is None:
        return feed
    if not isinstance(feed, CodedFeed):
        raise RecipeError(f"a {type(feed).__name__} has no patches to ask an encoder about")
    if not feed.is_fixed:
        return feed
    encoder = encoder.to(device).eval()
    said = _said(feed, encoder)
    asked = list(feed.asked())[share[0] :: share[1]]
    for done, each in enumerate(asked, start=1):
        if said.has(each.key, each.name):
            continue
        where, pixels = feed.patches(each)
        codes = encode(encoder, pixels, device=device).astype(feed.code_type)
        said.write(each.key, {**where, each.name: codes})
        if progress is not None:
            progress(done, len(asked))
    return feed.with_codes(said)


def encode(
    encoder: nn.Module,
    pixels: Float[np.ndarray, "patch row col"],
    *,
    device: torch.device | str = "cpu",
) -> Float[np.ndarray, "patch *dim"]:
    """A code of each patch; of an encoder that keeps a grid, the grid of each."""
    with torch.inference_mode():
        parts = [
            encoder(some[:, None].to(device)).float().cpu()
            for some in torch.split(torch.from_numpy(pixels), AT_A_TIME)
        ]
    return np.asarray(torch.cat(parts).numpy())


def keep_maps(said: Said, look: Look, recipe: str) -> None:
    """Keep the maps that a network gave of the images of a batch, as context for another.

    Raises:
        CheckpointError: It gave none.
    """
    maps = look.output.maps
    if maps is None:
        raise CheckpointError(f"{recipe} gives no heatmaps; take a context network that does")
    values = maps.detach().float().cpu().numpy()
    for (_, image_id, _), own in zip(look.images(), values, strict=True):
        said.write(image_id, {MAPS: own})


def _said(feed: CodedFeed, encoder: nn.Module) -> Said:
    """Where the codes are kept; of an exam in memory, under no name."""
    pixels: Pixels = feed.pixels
    if pixels.path is None:
        return Said({})
    about = {
        "revision": REVISION,
        "pixels": pixels.fingerprint,
        **feed.about(),
        "weights": _digest(encoder),
    }
    return Said(about, pixels.path)


def _digest(encoder: nn.Module) -> str:
    """Fingerprint of all weights."""
    return short(digest_of_parts(weight_bytes(sorted(encoder.state_dict().items()))))
