"""A feed of patches that reads what a frozen encoder said of them, instead of their pixels.

The feed says which patches there are and what decides them; it never runs a network. Whoever has
the encoder asks it once (``predict.frozen``), and gives the feed the answers to read.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from fourview.feeds.feed import Feed
from fourview.store.said import Said


@dataclass(frozen=True, slots=True)
class Asked:
    """Patches that an encoder is asked about together.

    Attributes:
        key: Whose patches, such as an image's id.
        name: Of the array of their codes, among the arrays of that key.
        what: For the feed, which they are.
    """

    key: str
    name: str
    what: Any


class CodedFeed(Feed):
    """See the module docstring.

    Attributes:
        said: Codes that are read; None reads pixels.
        code_type: Of the numbers that are kept.
    """

    said: Said | None = None
    code_type: type[np.floating[Any]] = np.float32

    @property
    def is_fixed(self) -> bool:
        """Whether all its patches are the same every time, so that codes can stand for them."""
        return True

    @abstractmethod
    def about(self) -> Mapping[str, Any]:
        """What decides the patches, beside the pixels that they are cut from."""

    @abstractmethod
    def asked(self) -> Iterator[Asked]:
        """All patches whose codes the feed would read."""

    @abstractmethod
    def patches(
        self, asked: Asked
    ) -> tuple[Mapping[str, np.ndarray], Float[np.ndarray, "patch row col"]]:
        """Where those patches are, as arrays to keep beside their codes, and their pixels."""

    def with_codes(self, said: Said) -> "CodedFeed":
        """The same feed, reading codes instead of pixels."""
        other = copy(self)
        other.said = said
        return other
