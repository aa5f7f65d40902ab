"""The random changes of self-supervised learning on photographs, for grey images.

Random resized crop, mirror image, jitter of brightness and contrast, Gaussian blur: SimCLR's list
(Chen et al. 2020, arXiv:2002.05709) without what colour alone can show. MaMA's code uses it in
pre-training and in probes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

KERNEL = 7  # of the blur, in pixels; MaMA's code
SIGMA = (0.1, 2.0)
ASPECT = (3 / 4, 4 / 3)  # of the crop


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoConfig:
    """How often and how much; the defaults change nothing.

    Attributes:
        crop_area: Smallest and largest part of the image that is cut and enlarged to all of it.
        mirror: Probability of exchanging left and right, which puts the chest wall to the right.
        jitter: Probability of changing brightness and contrast.
        jitter_range: Largest relative change of each.
        blur: Probability of a Gaussian blur of 0.1 to 2 pixels.
    """

    crop_area: tuple[float, float] = (1.0, 1.0)
    mirror: float = 0.0
    jitter: float = 0.0
    jitter_range: float = 0.4
    blur: float = 0.0


NOTHING = PhotoConfig()
SIMCLR = PhotoConfig(crop_area=(0.1, 1.0), mirror=0.5, jitter=0.8, jitter_range=0.8, blur=0.4)
MAMMO = PhotoConfig(crop_area=(0.5, 1.0), jitter=0.8, jitter_range=0.3, blur=0.1)


def photo_augment(
    pixels: Float[Tensor, "image 1 row col"], config: PhotoConfig, generator: torch.Generator
) -> Float[Tensor, "image 1 row col"]:
    """Changed copies, each image on its own; what was outside the breast stays 0.

    Args:
        pixels: In [0, 1], 0 outside the breast and only there.
        config: What may change.
        generator: On the CPU; decides everything.
    """
    if config == NOTHING:
        return pixels
    pixels = _cropped(pixels, config, generator)
    inside = pixels > 0
    count = len(pixels)
    drawn = torch.rand(4, count, generator=generator)
    spread = (2 * drawn[:2] - 1) * config.jitter_range * (drawn[2] < config.jitter)
    brightness, contrast = (1 + spread.to(pixels))[..., None, None, None]
    mean = _mean(pixels, inside)
    jittered = ((pixels * brightness - mean * brightness) * contrast + mean * brightness).clamp(
        0, 1
    )
    sigma = SIGMA[0] + (SIGMA[1] - SIGMA[0]) * torch.rand(count, generator=generator)
    blurred = gaussian_blur(jittered, sigma.to(pixels))
    chosen = (drawn[3] < config.blur).to(pixels.device)[:, None, None, None]
    smallest = torch.finfo(pixels.dtype).tiny  # so that a dark place is still inside the breast
    changed = torch.where(chosen, blurred, jittered).clamp(min=smallest)
    return changed * inside


def gaussian_blur(
    pixels: Float[Tensor, "image 1 row col"], sigma: Float[Tensor, " image"]
) -> Float[Tensor, "image 1 row col"]:
    """Each image with its own sigma, in pixels; borders are mirrored."""
    places = torch.arange(KERNEL, device=pixels.device, dtype=pixels.dtype) - KERNEL // 2
    kernel = torch.exp(-(places**2) / (2 * sigma[:, None] ** 2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    side = KERNEL // 2
    stack = pad(pixels, (side, side, side, side), mode="reflect").transpose(0, 1)
    stack = conv2d(stack, kernel[:, None, :, None], groups=len(pixels))
    return conv2d(stack, kernel[:, None, None, :], groups=len(pixels)).transpose(0, 1)


def _cropped(
    pixels: Float[Tensor, "image 1 row col"], config: PhotoConfig, generator: torch.Generator
) -> Float[Tensor, "image 1 row col"]:
    count = len(pixels)
    drawn = torch.rand(5, count, generator=generator)
    area = config.crop_area[0] + (config.crop_area[1] - config.crop_area[0]) * drawn[0]
    low, high = torch.tensor(ASPECT).log()
    aspect = torch.exp(low + (high - low) * drawn[1])
    aspect = torch.where(area >= 1, 1.0, aspect)
    width = (area * aspect).sqrt().clamp(max=1.0)
    height = (area / aspect).sqrt().clamp(max=1.0)
    shift_x, shift_y = (2 * drawn[2] - 1) * (1 - width), (2 * drawn[3] - 1) * (1 - height)
    sign = torch.where(drawn[4] < config.mirror, -1.0, 1.0)
    zero = torch.zeros(count)
    theta = torch.stack(
        [torch.stack([sign * width, zero, shift_x], 1), torch.stack([zero, height, shift_y], 1)], 1
    )
    grid = affine_grid(theta.to(pixels), list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, mode="bilinear", align_corners=False)


def _mean(
    pixels: Float[Tensor, "image 1 row col"], inside: Bool[Tensor, "image 1 row col"]
) -> Float[Tensor, "image 1 1 1"]:
    """Inside the breast; 0 where nothing is."""
    total = pixels.sum(dim=(1, 2, 3), keepdim=True)
    return total / inside.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
