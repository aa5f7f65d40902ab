"""Codes of regions: what a frozen encoder makes of every window, computed once and kept.

Folder:  STORE/codes/FINGERPRINT/about.json     what they are: spec, windows, encoder, augmentation
                                 KEY.boxes.npy  x0 y0 x1 y1 of an image's regions (int32)
                                 KEY.COPY.npy   their codes (float16); KEY is of the image's id
Copies:  copy 0 is the image as it is; the others are turned, mirrored and shifted, each by a draw
         that the image's id and the copy's number decide.
The fingerprint is of pixels, windows, encoder with its weights, and augmentation. Every file
appears whole or not at all, so a stopped run goes on.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Int, UInt16

from fourview.disk import whole, write_text
from fourview.feeds.grid import RegionRule, cut_regions, find_regions
from fourview.fingerprint import digest_of_parts, digest_of_text, fingerprint_of, short
from fourview.nn.region_encoder import RegionEncoder, RegionEncoderConfig
from fourview.nn.weight_bytes import weight_bytes
from fourview.preprocess.pipeline import from_levels
from fourview.store.store import Store

Progress = Callable[[int, int], None]
REVISION = 1  # raised when the same settings would give other codes than before
BATCH = 32  # windows at a time; more gains nothing on a processor and costs memory
DIHEDRAL = 8  # quarter turns, each mirrored or not


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRule:
    """Augmented copies of an image's regions, which enlarge and balance the training part.

    Attributes:
        copies: How many beside the plain one. The paper names rotations, flips and shifts; 8 is as
            many as there are quarter turns with and without mirroring.
        shift_px: Largest shift of all windows of an image either way; half of the paper's stride.
        seed: Another seed gives other copies.
    """

    copies: int = 8
    shift_px: int = 56
    seed: int = 0

    def __post_init__(self) -> None:
        if self.copies < 0 or self.shift_px < 0:
            raise ValueError(f"copies {self.copies}, shift_px {self.shift_px}: need 0 or more")


@dataclass(frozen=True, slots=True)
class Move:
    """What is done to all windows of an image: shifted, then each turned about its middle."""

    dx: int = 0
    dy: int = 0
    turns: int = 0
    mirrored: bool = False


def draw_move(draw: np.random.Generator, shift_px: int) -> Move:
    """A random move; all dihedral ones are as likely."""
    dx, dy = (int(n) for n in draw.integers(-shift_px, shift_px + 1, size=2))
    element = int(draw.integers(DIHEDRAL))
    return Move(dx=dx, dy=dy, turns=element % 4, mirrored=element >= 4)


def moved(
    windows: UInt16[np.ndarray, "region row col"], move: Move
) -> UInt16[np.ndarray, "region new_row new_col"]:
    """Windows turned and mirrored; their shift is the business of whoever cuts them."""
    turned = np.rot90(windows, move.turns, axes=(1, 2))
    return turned[:, :, ::-1] if move.mirrored else turned


def build_encoder(config: RegionEncoderConfig) -> RegionEncoder:
    """The encoder, frozen; random weights are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = RegionEncoder(config)
    return encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def encode(
    encoder: RegionEncoder,
    windows: UInt16[np.ndarray, "region row col"],
    *,
    device: torch.device | str = "cpu",
) -> Float[np.ndarray, "region dim"]:
    """Codes of windows as a store holds them."""
    codes = []
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            pixels = torch.from_numpy(from_levels_of(windows[start : start + BATCH]))[:, None]
            codes.append(encoder(pixels.to(device)).float().cpu().numpy())
    return np.concatenate(codes)


def from_levels_of(
    windows: UInt16[np.ndarray, "region row col"],
) -> Float[np.ndarray, "region row col"]:
    """Pixels in [0, 1] of several windows."""
    rows = windows.reshape(-1, windows.shape[2])
    return from_levels(rows).reshape(windows.shape)


class Codes:
    """The codes of a store's images for one choice of windows, encoder and augmentation.

    Args:
        store: Pixels; the codes lie in its folder.
        rule: What is a region.
        encoder: What makes the codes; its weights count in the fingerprint.
        copies: How augmented copies are drawn. How many there are does not count.
        device: Where the encoder runs.
    """

    def __init__(
        self,
        store: Store,
        rule: RegionRule,
        encoder: RegionEncoderConfig,
        copies: CopyRule,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.store, self.rule, self.copy_rule, self.device = store, rule, copies, device
        self._encoder = build_encoder(encoder).to(device)
        about = {
            "revision": REVISION,
            "pixels": store.fingerprint,
            "windows": {**asdict(rule), "fingerprint": rule.fingerprint},
            "encoder": {**asdict(encoder), "network": encoder.network.name},
            "weights": _digest(self._encoder),
            "normalisation": [encoder.network.mean, encoder.network.std],
            "shift_px": copies.shift_px,
            "seed": copies.seed,
        }
        self.fingerprint = fingerprint_of(about)
        self.folder = store.path / "codes" / self.fingerprint
        self._about = about

    @property
    def dim(self) -> int:
        """Length of a code."""
        return self._encoder.dim

    def ensure(
        self, slots: Mapping[str, int], copies: int, progress: Progress | None = None
    ) -> None:
        """Compute what is missing: copies 0 to ``copies`` of these images.

        Args:
            slots: For each image, its slot.
            copies: Augmented copies wanted beside the plain one.
            progress: Called with images done and images in all.
        """
        about = self.folder / "about.json"
        if not about.exists():
            write_text(about, json.dumps(self._about, indent=2, sort_keys=True) + "\n")
        for done, (image_id, slot) in enumerate(slots.items(), start=1):
            missing = [c for c in range(copies + 1) if not self._path(image_id, str(c)).exists()]
            if missing or not self._path(image_id, "boxes").exists():
                self._compute(image_id, slot, missing)
            if progress is not None:
                progress(done, len(slots))

    def boxes(self, image_id: str) -> Int[np.ndarray, "region 4"]:
        """x0 y0 x1 y1 of the regions of an image, in processed pixels."""
        return np.asarray(np.load(self._path(image_id, "boxes"), allow_pickle=False))

    def read(self, image_id: str, copy: int = 0) -> Float16[np.ndarray, "region dim"]:
        """The codes of an image's regions, in the order of ``boxes``."""
        return np.asarray(np.load(self._path(image_id, str(copy)), allow_pickle=False))

    def move(self, image_id: str, copy: int) -> Move:
        """How a copy differs from the image."""
        if copy == 0:
            return Move()
        entropy = [self.copy_rule.seed, copy, int(_key(image_id), 16)]
        draw = np.random.default_rng(np.random.SeedSequence(entropy))
        return draw_move(draw, self.copy_rule.shift_px)

    def _compute(self, image_id: str, slot: int, missing: list[int]) -> None:
        levels = self.store.read(image_id)
        boxes = find_regions(levels, slot, self.rule)
        for copy in missing:
            move = self.move(image_id, copy)
            shifted = boxes + np.array([move.dx, move.dy, move.dx, move.dy])
            windows = np.ascontiguousarray(moved(cut_regions(levels, shifted), move))
            codes = encode(self._encoder, windows, device=self.device)
            self._save(image_id, str(copy), codes.astype(np.float16))
        self._save(image_id, "boxes", boxes.astype(np.int32))

    def _save(self, image_id: str, what: str, values: np.ndarray) -> None:
        with whole(self._path(image_id, what)) as draft, draft.open("wb") as file:
            np.save(file, values, allow_pickle=False)

    def _path(self, image_id: str, what: str) -> Path:
        return self.folder / f"{_key(image_id)}.{what}.npy"


def _key(image_id: str) -> str:
    """A file name for an image; ids may have any characters."""
    return short(digest_of_text(image_id))


def _digest(encoder: RegionEncoder) -> str:
    """Fingerprint of all weights."""
    weights = sorted(encoder.state_dict().items())
    return short(digest_of_parts(weight_bytes(weights)))
