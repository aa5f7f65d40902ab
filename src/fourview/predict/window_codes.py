"""Save what the frozen part of a network makes of a feed's windows, once for its weights."""

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain

import numpy as np
import torch
from torch import nn

from fourview.feeds.kinds.patches import PatchFeed
from fourview.feeds.window_codes import WindowCodes, folder_of, write_codes
from fourview.fingerprint import digest_of_parts
from fourview.nn.weight_bytes import weight_bytes

AT_A_TIME = 64
Progress = Callable[[int, int], None]


def with_saved_codes(
    feed: PatchFeed,
    encoder: nn.Module,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> PatchFeed:
    """The feed with codes in place of pixels; they are made first where they are missing.

    Args:
        feed: Whose windows are drawn once: ``settings.saved`` of a site in training.
        encoder: Pixels of windows to a code each; as it is in evaluation mode.
        device: Where to compute.
        progress: Called with sites done and sites in all.
    """
    folder = folder_of(feed.store, _digest(feed, encoder))
    if not folder.exists():
        encoder = encoder.to(device).eval()
        windows, codes = [], []
        for site in range(len(feed.sites)):
            found, pixels = feed.fixed(site)
            windows.append([(w.x, w.y, w.side, w.degrees) for w in found])
            with torch.inference_mode():
                batch = torch.from_numpy(pixels)[:, None].to(device)
                made = [encoder(some).float().cpu() for some in torch.split(batch, AT_A_TIME)]
            codes.append(torch.cat(made).numpy())
            if progress is not None:
                progress(site + 1, len(feed.sites))
        write_codes(folder, np.array(windows, dtype=np.float64), np.stack(codes))
    return feed.with_codes(WindowCodes(folder))


def _digest(feed: PatchFeed, encoder: nn.Module) -> str:
    drawn = asdict(feed.settings) | {"per_epoch": None, "grid": None, "upright": None}
    sites = [(site.kind, site.finding_id, site.image_id) for site in feed.sites]
    about = [drawn, feed.training, feed.store.fingerprint, sites]
    weights = weight_bytes(encoder.state_dict().items())
    return digest_of_parts(chain([json.dumps(about).encode()], weights))
