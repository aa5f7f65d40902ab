"""Weights of vision transformers under the names that their publishers gave them, to timm's.

DINOv2 comes in three ways: from timm's hub, from Meta (``dinov2_vitb14_reg4_pretrain.pth``:
``blocks.0.attn.qkv``, ``register_tokens``) and from Hugging Face (a folder with model.safetensors:
``encoder.layer.0.attention.attention.query``). All three are read, with a prefix or without. The
table of positions is interpolated where the network was made for another size (timm does both that
and Meta's names).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from fourview.errors import CheckpointError

State = dict[str, Tensor]
FILES = ("model.safetensors", "pytorch_model.bin")  # of a folder as Hugging Face has them
OF_HUGGING_FACE = "embeddings.patch_embeddings.projection.weight"
ANCHORS = (OF_HUGGING_FACE, "patch_embed.proj.weight")  # names that show where a prefix ends
HUGGING_FACE = (  # expressions of its names, and Meta's
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.mask_token", "mask_token"),
    (r"embeddings\.register_tokens", "register_tokens"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.(\w+)", r"patch_embed.proj.\1"),
    (r"layernorm\.(\w+)", r"norm.\1"),
    (r"encoder\.layer\.(\d+)\.(norm[12]|mlp\.fc[12])\.(\w+)", r"blocks.\1.\2.\3"),
    (r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
    (
        r"encoder\.layer\.(\d+)\.attention\.(?:output\.dense|o_proj)\.(\w+)",
        r"blocks.\1.attn.proj.\2",
    ),
    (r"encoder\.layer\.(\d+)\.mlp\.weights_in\.(\w+)", r"blocks.\1.mlp.w12.\2"),
    (r"encoder\.layer\.(\d+)\.mlp\.weights_out\.(\w+)", r"blocks.\1.mlp.w3.\2"),
)
ATTENTION = re.compile(r"encoder\.layer\.(\d+)\.attention\.(attention\.query|q_proj)\.(\w+)")
PARTS = {  # the first of three as they are stored, or as transformers has them in memory
    "attention.query": ("attention.query", "attention.key", "attention.value"),
    "q_proj": ("q_proj", "k_proj", "v_proj"),
}


def weights_file(path: Path) -> Path:
    """The file of weights: the path itself, or the one in a folder as Hugging Face has it.

    Raises:
        CheckpointError: The folder holds none.
    """
    if not path.is_dir():
        return path
    file = next((path / name for name in FILES if (path / name).exists()), None)
    if file is None:
        raise CheckpointError(f"{path}: holds none of {', '.join(FILES)}; name the file itself")
    return file


def as_timm_names_them(state: Mapping[str, Tensor], network: nn.Module, where: Path) -> State:
    """Weights under timm's names, with positions for the network's size.

    Args:
        state: As it was read.
        network: The one they are for; networks other than vision transformers get them as read.
        where: The file they are from, for errors.

    Raises:
        CheckpointError: They are of a network with registers and this one has none, or the other
            way round.
    """
    from timm.models.vision_transformer import (
        VisionTransformer,
        checkpoint_filter_fn,
    )

    if not isinstance(network, VisionTransformer):
        return dict(state)
    state = _without_prefix(state)
    if OF_HUGGING_FACE in state:
        state = _as_meta_names_them(state)
    _require_registers(state, network, where)
    if "register_tokens" in state or "mask_token" in state:
        state = {"mask_token": torch.empty(0), **state}  # by this timm knows Meta's names
    filled: Any = checkpoint_filter_fn(dict(state), network)
    return {name: value for name, value in filled.items() if isinstance(value, Tensor)}


def _without_prefix(state: Mapping[str, Tensor]) -> State:
    """The network's own names: ``backbone.``, ``dinov2.`` and the like are taken off."""
    for anchor in ANCHORS:
        for name in state:
            if name.endswith(anchor) and name != anchor:
                prefix = name.removesuffix(anchor)
                return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return dict(state)


def _as_meta_names_them(state: Mapping[str, Tensor]) -> State:
    """Hugging Face's names to Meta's; queries, keys and values become one matrix."""
    renamed: State = {}
    for name, value in state.items():
        attention = ATTENTION.fullmatch(name)
        if attention is not None:
            parts = [name.replace(attention[2], part) for part in PARTS[attention[2]]]
            ours = f"blocks.{attention[1]}.attn.qkv.{attention[3]}"
            renamed[ours] = torch.cat([state[part] for part in parts if part in state])
            continue
        for expression, replacement in HUGGING_FACE:
            if re.fullmatch(expression, name):
                renamed[re.sub(expression, replacement, name)] = value
                break
    return renamed


def _require_registers(state: Mapping[str, Tensor], network: nn.Module, where: Path) -> None:
    registers = state.get("register_tokens", state.get("reg_token"))
    count = 0 if registers is None else int(registers.shape[1])
    wanted = int(cast("Any", network).num_reg_tokens)
    if count != wanted:
        raise CheckpointError(
            f"{where}: has {count} registers, the network {wanted}; of DINOv2 take image.name="
            f"vit_base_patch14_{'reg4_' if count else ''}dinov2, or vit_small_..., vit_large_..."
        )
