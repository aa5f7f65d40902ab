"""What the rest of the house knows of a family of models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from fourview.contract.batch import ExamBatch
from fourview.contract.output import ModelOutput, Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training stage.

    Attributes:
        objective: Network and settings to the Objective.
        settings: The frozen dataclass of that objective's settings.
        feed: What it reads: a module of ``feeds/kinds/``.
        takes: Of the recipe that it starts from, only weights whose names begin so, and all of
            them; empty takes whatever fits.
        encoder: Of a network, what this stage leaves as it is and windows go through first, so that
            their codes may be saved (``feeds.window_codes``); None where there is nothing such.
    """

    objective: Callable[[Any, Any], Objective]
    settings: type
    feed: str = "exams"
    takes: tuple[str, ...] = ()
    encoder: Callable[[Any], nn.Module | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Weights that somebody else published, and how their names become ours.

    Attributes:
        name: For the command line, after the family's: ``gmic-1``.
        config: Of the network that they fit.
        pixel_specs: What they can read; the first is the usual one.
        licence: Of the weights, in words; recorded with what is converted, and printed.
        source: Whose they are, and which file.
        consent: The licence has to be accepted by whoever converts.
        may_release: False where the licence forbids to pass them on.
        names: Regular expressions of whole published names, each with what replaces it.
        change: Our name and the tensor to the tensor as we lay it out; None leaves all as they are.
        aliases: Expressions of names that repeat another tensor, each with that one's name: they
            must be equal, and are then left out.
        unused: Expressions of names that have no place here on purpose, such as another head.
    """

    name: str
    config: Any
    pixel_specs: tuple[str, ...]
    licence: str
    source: str
    consent: bool = False
    may_release: bool = True
    names: tuple[tuple[str, str], ...]
    change: Callable[[str, Tensor], Tensor] | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """One folder of ``models/``: all that the rest of the house knows of it.

    Attributes:
        kind: ``read`` gives a ModelOutput; ``pretrain`` gives features for others.
        config: The frozen dataclass that decides the network; its defaults are the paper's.
        build: A config to a network with random (or the config's own) weights.
        stages: Training stages by name.
        explain: Network and batch to a ModelOutput with heatmaps; None where there are none.
        pixel_spec: Name of the PixelSpec of the paper.
        tiny_config: Trains a step on a CPU in about a second; for tests.
        tiny_size: Rows and columns of an image for ``tiny_config``.
        frozen: Parameters that no stage trains, by the beginnings of their names.
        published: Weights of others that ``fourview convert`` can turn into checkpoints.
    """

    name: str
    kind: Literal["read", "pretrain"]
    paper: str
    config: type
    build: Callable[[Any], nn.Module]
    stages: Mapping[str, Stage]
    pixel_spec: str
    tiny_config: Any
    tiny_size: tuple[int, int] = (64, 32)
    explain: Callable[[Any, ExamBatch], ModelOutput] | None = None
    frozen: tuple[str, ...] = ()
    published: tuple[PublishedWeights, ...] = ()
