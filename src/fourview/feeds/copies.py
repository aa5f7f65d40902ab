"""Augmented copies of an image's regions: shifted, turned and mirrored, each by its own draw."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt16

from fourview.fingerprint import number_of
from fourview.preprocess.pipeline import from_levels

DIHEDRAL = 8  # quarter turns, each mirrored or not


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRule:
    """Augmented copies of an image's regions, which enlarge and balance the training part.

    Attributes:
        copies: How many beside the plain one. The paper names rotations, flips and shifts; 8 is as
            many as there are quarter turns with and without mirroring.
        shift_px: Largest shift of all patches of an image either way; half of the paper's stride.
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
    """What is done to all patches of an image: shifted, then each turned about its middle."""

    dx: int = 0
    dy: int = 0
    turns: int = 0
    mirrored: bool = False


def draw_move(draw: np.random.Generator, shift_px: int) -> Move:
    """A random move; all dihedral ones are as likely."""
    dx, dy = (int(n) for n in draw.integers(-shift_px, shift_px + 1, size=2))
    element = int(draw.integers(DIHEDRAL))
    return Move(dx=dx, dy=dy, turns=element % 4, mirrored=element >= 4)


def move_of_copy(image_id: str, copy: int, rule: CopyRule) -> Move:
    """How a copy differs from the image, by the image's id and the copy's number; 0 does not."""
    if copy == 0:
        return Move()
    entropy = [rule.seed, copy, number_of(image_id)]
    return draw_move(np.random.default_rng(np.random.SeedSequence(entropy)), rule.shift_px)


def moved(
    patches: UInt16[np.ndarray, "region row col"], move: Move
) -> UInt16[np.ndarray, "region new_row new_col"]:
    """Patches turned and mirrored; whoever cuts them has shifted them."""
    turned = np.rot90(patches, move.turns, axes=(1, 2))
    return turned[:, :, ::-1] if move.mirrored else turned


def from_levels_of(
    patches: UInt16[np.ndarray, "region row col"],
) -> Float[np.ndarray, "region row col"]:
    """Pixels in [0, 1] of several patches."""
    rows = patches.reshape(-1, patches.shape[2])
    return from_levels(rows).reshape(patches.shape)
