"""Silhouettes of the compressed breast, and the half-widths that tissue is mapped into.

Coordinates: x (mm) along the AP axis from the chest plane, t (mm) across it, up positive (lateral
in CC, superior and lateral in MLO). ``skin(t)`` is where the breast ends; ``half_width(x)`` is that
of the breast proper, at most the silhouette's: in MLO it leaves out the axilla.
"""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Bool, Float

from fourview.phantom.anatomy import Breast
from fourview.phantom.truth import Position


class Outline(ABC):
    """What both views' silhouettes can be asked."""

    @abstractmethod
    def skin(self, t: Float[np.ndarray, "*many"]) -> Float[np.ndarray, "*many"]:
        """AP position (mm) of the skin at t, without the nipple; 0 beyond the breast."""

    @abstractmethod
    def half_width(
        self, x: Float[np.ndarray, "*many"], up: Bool[np.ndarray, "*many"]
    ) -> Float[np.ndarray, "*many"]:
        """Half-width (mm) of the breast proper at x, above or below the AP axis."""

    @abstractmethod
    def inside(self, t: Float[np.ndarray, "*many"]) -> Bool[np.ndarray, "*many"]:
        """Whether any of the breast lies at that t."""


class CraniocaudalOutline(Outline):
    """CC: x = L (1 - (|t| / H)^p)^(1/q), with H a little different above and below."""

    def __init__(self, breast: Breast) -> None:
        draws = breast.patient.outline
        self.length = breast.length
        self.half_up = draws.cc_half * (1 + draws.cc_asymmetry)
        self.half_down = draws.cc_half * (1 - draws.cc_asymmetry)
        self.p, self.q = draws.cc_p, draws.cc_q

    def skin(self, t: Float[np.ndarray, "*many"]) -> Float[np.ndarray, "*many"]:
        """See ``Outline.skin``."""
        half = np.where(t > 0, self.half_up, self.half_down)
        return np.asarray(
            self.length * np.clip(1 - (np.abs(t) / half) ** self.p, 0, 1) ** (1 / self.q)
        )

    def half_width(
        self, x: Float[np.ndarray, "*many"], up: Bool[np.ndarray, "*many"]
    ) -> Float[np.ndarray, "*many"]:
        """See ``Outline.half_width``: the inverse of the silhouette."""
        ratio = np.clip(np.maximum(x, 0.3) / self.length, 0, 0.9995)
        half = np.where(up, self.half_up, self.half_down)
        return np.asarray(half * np.clip(1 - ratio**self.q, 1e-4, 1) ** (1 / self.p))

    def inside(self, t: Float[np.ndarray, "*many"]) -> Bool[np.ndarray, "*many"]:
        """See ``Outline.inside``."""
        return np.asarray((t < self.half_up) & (t > -self.half_down))


class ObliqueOutline(Outline):
    """MLO: closed below like CC; above a bell that never closes, for the axilla goes on."""

    def __init__(self, breast: Breast) -> None:
        draws = breast.patient.outline
        self.length = breast.length
        self.axilla = draws.axilla
        self.scale, self.power = draws.upper_scale, draws.upper_power
        self.half_up = draws.upper_half
        self.half_down, self.p, self.q = draws.lower_half, draws.lower_p, draws.lower_q

    def skin(self, t: Float[np.ndarray, "*many"]) -> Float[np.ndarray, "*many"]:
        """See ``Outline.skin``."""
        bell: np.ndarray = (1 + (t / self.scale) ** 2 / self.power) ** -self.power
        above = self.axilla + (self.length - self.axilla) * bell
        below = np.clip(1 - (np.abs(t) / self.half_down) ** self.p, 0, 1) ** (1 / self.q)
        return np.where(t > 0, above, self.length * below)

    def half_width(
        self, x: Float[np.ndarray, "*many"], up: Bool[np.ndarray, "*many"]
    ) -> Float[np.ndarray, "*many"]:
        """See ``Outline.half_width``: above, a smooth minimum of the bell and a closed curve."""
        ratio = np.clip(np.maximum(x, 0.3) / self.length, 0, 0.9995)
        base = self.axilla / self.length
        share = np.clip((ratio - base) / (1 - base), 1e-3, 0.9995)
        bell = self.scale * np.sqrt(self.power * (share ** (-1 / self.power) - 1)) + 0.5
        closed = self.half_up * np.sqrt(np.clip(1 - ratio**1.8, 1e-4, 1))
        above: np.ndarray = (bell**-4.0 + closed**-4.0) ** -0.25
        below = self.half_down * np.clip(1 - ratio**self.q, 1e-4, 1) ** (1 / self.p)
        return np.where(up, above, below)

    def inside(self, t: Float[np.ndarray, "*many"]) -> Bool[np.ndarray, "*many"]:
        """See ``Outline.inside``."""
        return np.asarray(t > -self.half_down)


def outline_of(breast: Breast, position: Position) -> Outline:
    """The silhouette of a breast in one view."""
    return CraniocaudalOutline(breast) if position == "CC" else ObliqueOutline(breast)
