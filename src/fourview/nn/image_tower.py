"""Image towers: processed pixels to tokens over a grid and one feature per image.

``ImageTower(config)(pixels) -> ImageFeatures``. One interface for vision transformers of timm
(DINOv2 ViT-B/14 with registers at 518 x 518, the papers') and for the convolutional encoders of
``nn.encoder``, whose cells are the tokens. Normalisation is inside, as the weights expect it.

Class and register tokens are never among the tokens: ``tokens`` are the grid's cells, row by row,
after the last LayerNorm, and ``tokens.reshape(images, *grid, dim)`` is the image.

How a language-image family uses the towers, so that ``probe``, ``fourview embed`` and ``search``
read any of them: its model is a ``contract.LanguageImageModel``, and its config's fields are
``image: ImageTowerConfig`` and ``text: TextTowerConfig``.

Shapes:  I images, T tokens = grid rows x grid columns, D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.errors import CheckpointError, RecipeError
from fourview.nn.encoder import (
    SMALL_WIDTHS,
    Encoder,
    EncoderConfig,
    is_vit,
    load_encoder_weights,
)
from fourview.nn.pretrained import input_statistics, require_weights

DINOV2 = "vit_base_patch14_reg4_dinov2"
INTERPOLATED = "pos_embed"  # the table of positions, where the size is another


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTowerConfig:
    """Which network, and what of it is the feature.

    Attributes:
        name: ``small``, or a timm model: a vision transformer or a convolutional network.
        weights: ``none`` (random), ``pretrained`` (timm's, from its hub or its local cache), or the
            path of a safetensors file, a state dict, or a folder as Hugging Face has them; with the
            network's own names, or Meta's or Hugging Face's of DINOv2 (``nn.vit_names``).
        size: Rows and columns that a transformer's table of positions is made for; other images
            get it interpolated. Others ignore it.
        pooled: Feature of an image: ``mean`` of the tokens, ``cls`` (the class token after the last
            LayerNorm), or ``all``, the mean of all tokens with class and registers before that
            norm, as MaMA's code has it. Convolutional encoders have ``mean`` only.
        mean: Subtracted from each of three equal channels; None takes what timm has for the
            network (the papers' code takes 0.5).
        std: Divides each channel after that; None as for ``mean`` (the papers' code: 0.5).
        widths: Channels of ``small``.
        depth: Blocks of a transformer; None takes all.
        checkpointing: Compute blocks again in the backward pass instead of keeping them.
        frozen: Leave the weights, and batch statistics, as they came; heads alone are trained.
    """

    name: str = DINOV2
    weights: str = "pretrained"
    size: tuple[int, int] = (518, 518)
    pooled: Literal["mean", "cls", "all"] = "mean"
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    widths: tuple[int, ...] = SMALL_WIDTHS
    depth: int | None = None
    checkpointing: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFeatures:
    """What a tower makes of images.

    Attributes:
        tokens: The cells of the grid, row by row; a transformer's after its last LayerNorm.
        grid: Rows and columns of the cells.
        pooled: Of each image.
    """

    tokens: Float[Tensor, "image token dim"]
    grid: tuple[int, int]
    pooled: Float[Tensor, "image dim"]


class ImageTower(nn.Module):
    """See the module docstring.

    Attributes:
        dim: D.
        stride: Pixels of a cell.
        has_batch_norm: Whether statistics of a batch are in it; then no gradient cache is exact
            unless they are frozen.
        given: Names of the weights that the file of the config gave as they are.
    """

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.body: _Transformer | Encoder
        if is_vit(config.name):
            self.body = _Transformer(config)
        elif config.pooled != "mean":
            raise RecipeError(
                f"image tower '{config.name}' has no class token: set pooled=mean, "
                f"not {config.pooled}"
            )
        else:
            weights = "imagenet" if config.weights == "pretrained" else config.weights
            self.body = Encoder(
                EncoderConfig(
                    name=config.name,
                    weights=weights,
                    mean=config.mean,
                    std=config.std,
                    widths=config.widths,
                )
            )
        self.dim, self.stride = self.body.dim, self.body.stride
        self.has_batch_norm = any(
            isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.modules()
        )
        self.given: frozenset[str] = frozenset()
        if config.weights not in ("none", "pretrained", "imagenet"):  # a file
            names = (name for name, _ in self.named_parameters())
            self.given = frozenset(n for n in names if not n.endswith(INTERPOLATED))
        if config.frozen:
            self.requires_grad_(False)

    def train(self, mode: bool = True) -> "ImageTower":
        """A frozen tower stays in evaluation mode."""
        return super().train(mode and not self.config.frozen)

    @property
    def first_center(self) -> float:
        """Where cell 0 looks, in pixels from the edge; see ``nn.encoder``."""
        return self.body.first_center

    def forward(self, pixels: Float[Tensor, "image 1 row col"]) -> ImageFeatures:
        """Features of every cell and image."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.frozen):
            return self._features(pixels)

    def _features(self, pixels: Float[Tensor, "image 1 row col"]) -> ImageFeatures:
        if isinstance(self.body, _Transformer):
            return cast("ImageFeatures", self.body(pixels))
        grid = self.body(pixels)
        tokens = grid.flatten(2).transpose(1, 2)
        shape = (int(grid.shape[2]), int(grid.shape[3]))
        return ImageFeatures(tokens=tokens, grid=shape, pooled=tokens.mean(dim=1))


class _Transformer(nn.Module):
    """A timm vision transformer, with its last norm kept apart so that both sides can be seen."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        network = _make_vit(config)
        self.how = config.pooled
        self.prefix: int = network.num_prefix_tokens
        self.patch: tuple[int, int] = network.patch_embed.patch_size
        self.dim: int = network.num_features
        self.stride = self.patch[0]
        self.first_center = self.stride / 2
        if config.pooled == "cls" and not network.has_class_token:
            raise RecipeError(f"'{config.name}' has no class token: set pooled=mean")
        network.set_grad_checkpointing(config.checkpointing)
        self.norm, network.norm = network.norm, nn.Identity()
        self.network = network
        mean, std = input_statistics(config.name, config.mean, config.std)
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1), False)

    def forward(self, pixels: Float[Tensor, "image 1 row col"]) -> ImageFeatures:
        rows, cols = (-(-side // p) for side, p in zip(pixels.shape[2:], self.patch, strict=True))
        before = self.network.forward_features((pixels - self.mean) / self.std)
        after = self.norm(before)
        tokens = after[:, self.prefix :]
        if self.how == "cls":
            pooled = after[:, 0]
        else:
            pooled = (tokens if self.how == "mean" else before).mean(dim=1)
        return ImageFeatures(tokens=tokens, grid=(rows, cols), pooled=pooled)


def _make_vit(config: ImageTowerConfig) -> Any:
    import timm

    if config.weights != "none":
        require_weights(config.name, config.weights)
    options: dict[str, Any] = {} if config.depth is None else {"depth": config.depth}
    options |= {"img_size": config.size, "dynamic_img_size": True, "dynamic_img_pad": True}
    try:
        network = timm.create_model(
            config.name,
            pretrained=config.weights == "pretrained",
            num_classes=0,
            global_pool="",
            **options,
        )
    except (OSError, RuntimeError) as error:  # no network, no cache, or no such weights
        raise CheckpointError(
            f"weights of '{config.name}' cannot be fetched ({type(error).__name__}); "
            "set image.weights to none or to a file"
        ) from error
    if config.weights not in ("none", "pretrained"):
        load_encoder_weights(network, Path(config.weights))
    return cast("Any", network)


def tower_as_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an ``image_tower`` under the names that the same network has as ``encoder``.

    A transformer's tower normalises its tokens itself; as an encoder the network does.
    """
    renamed = {}
    for name, value in state.items():
        if name.startswith("image_tower.body."):
            rest = name.removeprefix("image_tower.body.").removeprefix("body.")
            rest = f"network.{rest}" if rest.startswith("norm.") else rest
            renamed[f"encoder.body.{rest}"] = value
    return renamed
