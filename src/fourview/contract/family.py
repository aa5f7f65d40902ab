"""What the rest of the package knows of a family of models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fourview.contract.batch import ExamBatch
from fourview.contract.dissection import Dissection
from fourview.contract.output import ModelOutput, Objective

Marks = Literal["none", "peaks", "boxes", "regions", "patches"]
Encoder = Callable[[Any, Any], nn.Module | None]  # network and the feed's settings to an encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a trained network is given of an exam that it reads.

    Attributes:
        feed: A module of ``feeds/kinds/`` that has ``of_exam``.
        encoder: A frozen network whose codes stand in place of the feed's patches; None where the
            network reads pixels.
    """

    feed: str = "exams"
    encoder: Encoder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training stage.

    Attributes:
        objective: Network and settings to the Objective, and by name what ``from_feed`` names.
        settings: The frozen dataclass of that objective's settings.
        feed: What it reads: a module of ``feeds/kinds/``.
        from_feed: Settings of the feed that the objective needs too, by their names.
        takes: Of the recipe that it starts from, only weights whose names begin so, and all of
            them; empty takes whatever fits.
        encoder: What this stage leaves as it is and patches go through first, so that their codes
            are kept (``feeds.coded``) and read in their place; None where there is nothing such.
    """

    objective: Callable[..., Objective]
    settings: type
    feed: str = "exams"
    from_feed: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    encoder: Encoder | None = None


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
    """One folder of ``models/``: all that the rest of the package knows of it.

    Attributes:
        kind: ``read`` gives a ModelOutput; ``pretrain`` gives features for others.
        config: The frozen dataclass that decides the network; its defaults are the paper's.
        build: A config to a network with random (or the config's own) weights.
        stages: Training stages by name.
        reads: What a trained network is given of an exam.
        explain: Network and batch to a ModelOutput with heatmaps, with the scores that the network
            itself gives; None where there are none.
        dissect: Network to what tells which of its parts it uses (``predict.dissect``); None for
            families that have no such thing.
        marks: How an output becomes marks on images, and these findings: ``peaks`` of heatmaps,
            ``boxes`` of a detector, the best ``regions`` among all patches, or ``patches`` by which
            findings are scored that somebody else names.
        heavy: Names of the network's parts that take the time: an engine compiles them.
        backbone: What of the network sees whole images: ``encoder`` (an ``nn.encoder.Encoder``),
            which may begin with the weights of an ``image_tower``, or that itself; None for others.
        pixel_spec: Name of the PixelSpec of the paper.
        tiny_config: Trains a step on a CPU in about a second; for tests.
        tiny_size: Rows and columns of an image for ``tiny_config``.
        frozen: Parameters that no stage trains, by the beginnings of their names.
        published: Weights of others that ``fourview convert`` can turn into checkpoints.
        ensembles: By name, which of these are read as one model.
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
    reads: Reads = field(default_factory=Reads)
    explain: Callable[[Any, ExamBatch], ModelOutput] | None = None
    dissect: Callable[[Any], Dissection] | None = None
    marks: Marks = "none"
    heavy: tuple[str, ...] = ()
    backbone: Literal["encoder", "image_tower"] | None = None
    frozen: tuple[str, ...] = ()
    published: tuple[PublishedWeights, ...] = ()
    ensembles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def scores_findings(self) -> bool:
        """Whether it judges findings that are named, and needs a context network beside it."""
        return self.marks == "patches"

    def look(self, model: nn.Module, batch: ExamBatch, *, explained: bool) -> ModelOutput:
        """What the network says, without gradients.

        Args:
            model: Of this family, in evaluation mode.
            batch: On the network's device.
            explained: With heatmaps, where the family has any.
        """
        if explained and self.explain is not None:
            return self.explain(model, batch)
        with torch.inference_mode():
            output: ModelOutput = model(batch)
        return output
