"""Image encoders: any timm network, or the small one of our own, behind one interface.

An encoder maps processed pixels in [0, 1] to a grid of features. It does the normalisation that its
weights expect itself, so that no caller can feed the wrong scale. A vision transformer serves too:
its tokens without class and registers are the grid.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from fourview.errors import CheckpointError, RecipeError
from fourview.nn.pretrained import OURS, input_statistics, require_weights
from fourview.nn.vit_names import as_timm_names_them, weights_file

SMALL = OURS
VIT_MODULE = "timm.models.vision_transformer"
PROBE_CELLS, PROBE_IMAGES = 8, 4  # enough that the three kinds of padding cannot be mixed up
SMALL_STRIDE = 8
SMALL_WIDTHS = (16, 24, 24, 40, 40)  # phantom study: stride 8 with 33,000 weights


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Which encoder, and where its weights start.

    Attributes:
        name: ``small``, or the name of a timm model such as efficientnet_b0, with the tag of its
            weights or without: efficientnet_b0.ra_in1k.
        weights: ``none`` (random), ``imagenet`` (timm's for that name, from its hub or its local
            cache), or the path of a safetensors file or state dict with the encoder's own names.
        mean: Subtracted from each of three equal channels; None takes what timm has for the
            network, such as ImageNet's.
        std: Divides each channel after that; None as for ``mean``.
        widths: Channels of the five layers of ``small``; others ignore it.
        stride: Pixels of a cell: a network of timm ends at its last layer of that stride, and what
            comes after is left out; None takes the whole network.
        merge: Take the mean of so many rows and columns of cells as one: 2 leaves a quarter of the
            cells, of which attention then costs a sixteenth.
    """

    name: str = "efficientnet_b0"
    weights: str = "imagenet"
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    widths: tuple[int, ...] = SMALL_WIDTHS
    stride: int | None = None
    merge: int = 1

    def __post_init__(self) -> None:
        if self.merge < 1:
            raise ValueError(f"merge is {self.merge}, need 1 or more")


class Encoder(nn.Module):
    """Processed pixels to a grid of features; ``dim`` says how many, ``stride`` how coarse.

    A cell does not look at the middle of the pixels that it stands for: with symmetric padding cell
    i is centred on pixel ``stride * i``. ``first_center`` says where cell 0 looks, and heatmaps are
    moved by it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.body, self.dim, self.own_stride = _build_body(config)
        self.merge = config.merge
        self.stride = self.own_stride * self.merge
        mean, std = input_statistics(config.name, config.mean, config.std)
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1), False)

    def forward(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image dim grid_row grid_col"]:
        """Features over a grid of cells of ``stride`` pixels."""
        cells = self.own_cells(pixels)
        return cells if self.merge == 1 else avg_pool2d(cells, self.merge, ceil_mode=True)

    def own_cells(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image dim own_row own_col"]:
        """Features over the network's own grid, before cells are merged."""
        rgb = (pixels - self.mean) / self.std  # broadcasts to three channels
        return cast("Tensor", self.body(rgb.contiguous(memory_format=torch.channels_last)))

    @cached_property
    def first_center(self) -> float:
        """Where cell 0 looks, in pixels from the edge; measured once, by gradients.

        A network of timm is asked with the weights that it has: trained ones can make up for
        padding that is all on one side. ``small`` is asked with new ones: it pads evenly, and
        filters that were trained from nothing may look to one side. Training by boxes
        (``single_view.located``) and reading must agree, so this is the place for both.
        """
        cells: nn.Module = _OwnCells(self)
        if isinstance(self.body, _Small):
            cells = _with_new_weights(cells)
        own = first_center_of(cells, stride=self.own_stride)
        return own + (self.merge - 1) * self.own_stride / 2


class _OwnCells(nn.Module):
    """An encoder up to its own grid."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.train(encoder.training)  # the mode that it is put back into after a look

    def forward(self, pixels: Tensor) -> Tensor:
        return self.encoder.own_cells(pixels)


def first_center_of(network: nn.Module, *, stride: int) -> float:
    """Where cell 0 of a network's grid looks, in pixels from the edge; measured by gradients.

    Strided convolutions come in three kinds: padded evenly (the cell looks at its first pixel),
    padded after as TensorFlow does (at its last), or not at all (at its middle). Trained weights
    can make one kind look where another does.

    Args:
        network: Maps images of one channel to a grid of features.
        stride: Pixels of a cell.
    """
    center = _looks_at(network, stride=stride, cells=PROBE_CELLS)
    kinds = (0.5, stride / 2, stride - 0.5)
    return min(kinds, key=lambda kind: abs(kind - center))


class _Small(nn.Sequential):
    """Five 3 x 3 convolutions with batch normalisation; for phantoms and tests."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        before = 3
        for index, width in enumerate(widths):
            stride = 2 if index < 3 else 1
            layers += [
                nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            before = width
        super().__init__(*layers)


class _TimmModel(Protocol):
    num_features: int

    def forward_features(self, pixels: Tensor) -> Tensor: ...


class _TimmBody(nn.Module):
    """A timm network up to its last feature grid (with a head convolution, after it)."""

    def __init__(self, name: str, *, pretrained: bool, stride: int | None = None) -> None:
        import timm

        super().__init__()
        self.network = timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="")
        if stride is not None:
            _end_at(self.network, name, stride)

    def forward(self, rgb: Float[Tensor, "image 3 row col"]) -> Tensor:
        return cast("_TimmModel", self.network).forward_features(rgb)


def _end_at(network: Any, name: str, stride: int) -> None:
    """Leave out the layers of a timm network after its last one of that stride.

    Raises:
        RecipeError: It has no such layer, or timm cannot shorten it.
    """
    strides = [int(each["reduction"]) for each in getattr(network, "feature_info", ())]
    if stride not in strides or not hasattr(network, "prune_intermediate_layers"):
        known = ", ".join(str(each) for each in dict.fromkeys(strides)) or "its own only"
        raise RecipeError(f"encoder '{name}' has no layer of stride {stride}; it has {known}")
    last = len(strides) - 1 - strides[::-1].index(stride)
    network.prune_intermediate_layers([last], prune_norm=True)


class _VitBody(_TimmBody):
    """A timm vision transformer; its tokens without class and registers, as a grid."""

    def __init__(self, name: str, *, pretrained: bool, stride: int | None = None) -> None:
        import timm

        nn.Module.__init__(self)
        if stride is not None:
            raise RecipeError(f"encoder '{name}' is a transformer of one stride; set it to none")
        self.network = timm.create_model(
            name,
            pretrained=pretrained,
            num_classes=0,
            global_pool="",
            dynamic_img_size=True,
            dynamic_img_pad=True,
        )

    def forward(self, rgb: Float[Tensor, "image 3 row col"]) -> Tensor:
        network = cast("Any", self.network)
        height, width = network.patch_embed.patch_size
        grid = (-(-rgb.shape[2] // height), -(-rgb.shape[3] // width))
        tokens: Tensor = network.forward_features(rgb)[:, network.num_prefix_tokens :]
        return tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)


def is_vit(name: str) -> bool:
    """Whether timm's model of that name is a plain vision transformer."""
    if name == SMALL:
        return False
    import timm

    if not timm.is_model(name):
        return False
    return bool(timm.models.model_entrypoint(name.partition(".")[0]).__module__ == VIT_MODULE)


def _build_body(config: EncoderConfig) -> tuple[nn.Module, int, int]:
    if config.name == SMALL:
        if config.weights != "none":
            raise RecipeError(f"encoder 'small' has no weights '{config.weights}'; set it to none")
        if config.stride not in (None, SMALL_STRIDE):
            raise RecipeError(f"encoder 'small' has stride {SMALL_STRIDE}, not {config.stride}")
        return _Small(config.widths), config.widths[-1], SMALL_STRIDE
    import timm

    if not timm.is_model(config.name):
        near = ", ".join(timm.list_models(f"*{config.name.split('_')[0]}*")[:8])
        raise RecipeError(f"timm has no model '{config.name}'; near ones: {near or 'none'}")
    if config.weights != "none":
        require_weights(config.name, config.weights)
    kind = _VitBody if is_vit(config.name) else _TimmBody
    body = kind(config.name, pretrained=False, stride=config.stride)
    if config.weights == "imagenet":
        body = _pretrained(config, kind)
    elif config.weights != "none":
        load_encoder_weights(body.network, Path(config.weights))
    if isinstance(body, _VitBody):
        network = cast("Any", body.network)
        return body, network.num_features, network.patch_embed.patch_size[0]
    grid = _probe(body)
    return body, grid[0], grid[1]


def _pretrained(config: EncoderConfig, kind: type[_TimmBody]) -> _TimmBody:
    try:
        return kind(config.name, pretrained=True, stride=config.stride)
    except (OSError, RuntimeError) as error:  # no network, no cache, or no such weights
        raise CheckpointError(
            f"ImageNet weights of '{config.name}' cannot be fetched ({type(error).__name__}); "
            "set encoder.weights to none or to a file"
        ) from error


def _probe(body: _TimmBody) -> tuple[int, int]:
    """Feature count and stride, by looking: timm's own figures differ between families."""
    was_training = body.training
    body.eval()
    with torch.no_grad():
        grid = body(torch.zeros(1, 3, 64, 64))
    body.train(was_training)
    if grid.ndim != 4:
        raise RecipeError(
            f"'{type(body.network).__name__}' gives features of shape {tuple(grid.shape)}; "
            "need a grid (image, dim, row, col): take a convolutional network"
        )
    return int(grid.shape[1]), 64 // int(grid.shape[2])


def _with_new_weights(network: nn.Module) -> nn.Module:
    """A copy as it is before training; what torch cannot begin anew stays as it is."""
    copied = deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in copied.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return copied


def _looks_at(network: nn.Module, *, stride: int, cells: int) -> float:
    """Centre of the gradients of a middle cell, less the pixels of the cells before it."""
    was_training = network.training
    network.eval()
    middle, side = cells // 2, cells * stride
    make = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    pixels = torch.rand(PROBE_IMAGES, 1, side, side, generator=make).to(device).requires_grad_()
    with torch.enable_grad():
        grid = network(pixels).float()
        (gradient,) = torch.autograd.grad(grid[:, :, middle, middle].square().sum(), pixels)
    network.train(was_training)
    rows = gradient.square().sum(dim=(0, 1, 3)).double()
    places = torch.arange(side, device=device, dtype=rows.dtype) + 0.5
    return float((rows * places).sum() / rows.sum()) - middle * stride


def load_encoder_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a safetensors file or a plain state dict.

    Names must agree; those of DINOv2's publishers are known (``nn.vit_names``), and a folder as
    Hugging Face has them is taken for the weights in it. A state dict of the same network under
    other names is taken by the order and shapes of its tensors (safetensors files keep no order, so
    not there). Only weights beyond the encoder's, such as a classifier's, may be left over.

    Raises:
        CheckpointError: A weight is missing or has another shape; the message names it.
    """
    path = weights_file(path)
    state = as_timm_names_them(_read_state(path), network, path)
    wanted = network.state_dict()
    known = {k: v for k, v in state.items() if k in wanted}
    if len(known) < len(wanted):
        known = _by_order(state, wanted, path)
    for name, value in known.items():
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"{path}: '{name}' has shape {tuple(value.shape)}, need {tuple(wanted[name].shape)}"
            )
    network.load_state_dict(known, strict=True)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as weights: {error}") from error
    for inner in ("model", "state_dict", "teacher"):  # beside an epoch or an optimiser
        if isinstance(state, dict) and isinstance(state.get(inner), dict):
            state = state[inner]
    return {str(k): v for k, v in dict(state).items() if isinstance(v, Tensor)}


def _by_order(state: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Pair tensors by order and shape: the same network under other names."""
    counters = "num_batches_tracked"  # absent from old files; timm's order is otherwise kept
    need = [(k, v) for k, v in wanted.items() if not k.endswith(counters)]
    have = [(k, v) for k, v in state.items() if not k.endswith(counters)]
    matches = (
        path.suffix != ".safetensors"
        and len(have) >= len(need)
        and all(v.shape == w.shape for (_, v), (_, w) in zip(have, need, strict=False))
    )
    if not matches:
        missing = sorted(set(wanted) - set(state))[:3]
        raise CheckpointError(
            f"{path}: not the weights of this encoder; missing for example {', '.join(missing)}"
        )
    mapped = {name: value for (name, _), (_, value) in zip(need, have, strict=False)}
    return {k: mapped.get(k, v) for k, v in wanted.items()}
