"""What timm says of its networks: the figures that their inputs are normalised with, their weights.

A network's weights come under tags, such as ``efficientnet_b0.ra_in1k``. Weights with another tag
may want other figures: those of ``resnetv2_50x1_bit`` want 0.5 and 0.5, not ImageNet's.
"""

from pathlib import Path

from fourview.errors import RecipeError

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of torchvision's and most of timm's ImageNet weights
IMAGENET_STD = (0.229, 0.224, 0.225)

OURS = "small"  # our own network, of which timm knows nothing

Three = tuple[float, float, float]


def input_statistics(name: str, mean: Three | None, std: Three | None) -> tuple[Three, Three]:
    """Mean and deviation of three channels: those given, else what timm has for the network.

    ImageNet's where timm does not know the network.
    """
    if mean is not None and std is not None:
        return mean, std
    if name == OURS:
        return mean or IMAGENET_MEAN, std or IMAGENET_STD
    import timm

    known = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    own_mean = IMAGENET_MEAN if known is None else tuple(known.mean)
    own_std = IMAGENET_STD if known is None else tuple(known.std)
    return mean or own_mean, std or own_std  # type: ignore[return-value]


def require_weights(name: str, weights: str) -> None:
    """Refuse weights that timm does not have for a network.

    Args:
        name: Of a network, with the tag of its weights or without (the usual ones).
        weights: ``imagenet`` or ``pretrained``, for those; anything else must be a file.

    Raises:
        RecipeError: There are no such weights and no such file; the message lists the tags.
    """
    import timm

    network, _, tag = name.partition(".")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{network}.*")]
    if weights in ("imagenet", "pretrained"):
        if tags and (not tag or tag in tags):
            return
        wrong = f"timm has no weights '{tag or weights}' of '{network}'"
    elif Path(weights).exists():
        return
    else:
        wrong = f"weights '{weights}' of '{name}' are no file"
    choice = f"name one as '{network}.TAG', of {', '.join(tags)}" if tags else "set weights to none"
    raise RecipeError(f"{wrong}; {choice}")
