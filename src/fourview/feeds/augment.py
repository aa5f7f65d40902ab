"""Random flips and affine maps of processed images, on whatever device the batch is.

The boxes of findings go with their pixels; windows that were cut before stay as they are.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from fourview.contract import ExamBatch
from fourview.feeds.augment_photo import PhotoConfig, photo_augment


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Ranges of the random changes; the paper of MVCCL names the kinds, not the ranges.

    Attributes:
        vertical_flip: Probability of exchanging top and bottom.
        rotation: Largest angle either way, in degrees.
        translation: Largest shift either way, as a part of the height or width.
        scale: Smallest and largest magnification.
        shear: Largest shear either way, in degrees.
        gain: Largest relative change of contrast either way.
        shared: One draw for all images of an exam, else one for each image.
        view_dropout: Probability that a breast with both views is trained with one of them, either
            being as likely; for models that shall also read a breast with one view.
        photo: Crops, jitter and blur as photographs get them, after the rest.
    """

    vertical_flip: float = 0.5
    rotation: float = 15.0
    translation: float = 0.1
    scale: tuple[float, float] = (0.8, 1.2)
    shear: float = 10.0
    gain: float = 0.0
    shared: bool = False
    view_dropout: float = 0.0
    photo: PhotoConfig = field(default_factory=PhotoConfig)


NO_AUGMENTATION = AugmentConfig(
    vertical_flip=0, rotation=0, translation=0, scale=(1, 1), shear=0, gain=0
)


def augment(batch: ExamBatch, config: AugmentConfig, generator: torch.Generator) -> ExamBatch:
    """A changed copy of the batch; outside the breast stays 0.

    Args:
        batch: Left as it is.
        config: What may change.
        generator: On the CPU; decides everything, so that a resumed run repeats itself.
    """
    batch = drop_views(batch, config.view_dropout, generator)
    if (
        replace(config, view_dropout=0.0, shared=False) == NO_AUGMENTATION
        or not batch.pixels.numel()
    ):
        return batch
    num_draws = batch.num_exams if config.shared else batch.num_images
    theta, gain = _draw(num_draws, config, generator, batch.pixels.shape[2:])
    if config.shared:
        theta, gain = theta[batch.exam.cpu()], gain[batch.exam.cpu()]
    theta, gain = theta.to(batch.pixels), gain.to(batch.pixels)
    grid = affine_grid(theta, list(batch.pixels.shape), align_corners=False)
    moved = grid_sample(batch.pixels, grid, mode="bilinear", align_corners=False)
    moved = (moved * gain[:, None, None, None]).clamp(max=1.0)
    patches = batch.patches
    if patches is not None and patches.pixels is None and patches.codes is None:
        moved_boxes = _moved_boxes(patches.box, theta[patches.image], batch.pixels.shape[2:])
        patches = replace(patches, box=moved_boxes)
    return replace(batch, pixels=photo_augment(moved, config.photo, generator), patches=patches)


def _moved_boxes(
    boxes: Float[Tensor, "box 4"], theta: Float[Tensor, "box 2 3"], size: torch.Size
) -> Float[Tensor, "box 4"]:
    """The upright boxes around the corners where the pixels went, as far as they are on the image.

    Args:
        boxes: x0 y0 x1 y1 in pixels.
        theta: Of each box's image, from output to input in the unit square, as pixels are moved.
        size: Rows and columns.
    """
    if not len(boxes):
        return boxes
    extent = boxes.new_tensor([size[1], size[0]])
    unit = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) / extent * 2 - 1
    inverse = torch.linalg.inv(theta[:, :, :2].double())
    offset = unit.double() - theta[:, None, :, 2].double()
    corners = (offset @ inverse.transpose(1, 2) + 1) / 2 * extent
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    return torch.cat([low, high], dim=1).clamp(min=0).minimum(extent.repeat(2)).to(boxes)


def drop_views(batch: ExamBatch, probability: float, generator: torch.Generator) -> ExamBatch:
    """The batch without one of the views of some breasts; never without both.

    All images of a dropped view go, with their patches and texts, so a breast trains just as one
    would be read that came with a single view.
    """
    if probability <= 0:
        return batch
    num_breasts = 2 * batch.num_exams
    chosen = torch.rand(num_breasts, generator=generator) < probability
    position = torch.randint(2, (num_breasts,), generator=generator)  # 0 CC, 1 MLO
    breast, here = batch.breast().cpu(), batch.slot.cpu() // 2
    has = torch.zeros(num_breasts, 2, dtype=torch.bool)
    has[breast, here] = True
    chosen &= has.all(dim=1)
    dropped = chosen[breast] & (here == position[breast])
    return batch.select(~dropped.to(batch.exam.device))


def _draw(
    count: int, config: AugmentConfig, generator: torch.Generator, size: torch.Size
) -> tuple[Float[Tensor, "draw 2 3"], Float[Tensor, " draw"]]:
    """Maps from output to input in the unit square of ``affine_grid``, and gains."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle = uniform(-config.rotation, config.rotation) * (math.pi / 180)
    shear = torch.tan(uniform(-config.shear, config.shear) * (math.pi / 180))
    scale = uniform(*config.scale)
    shift_x, shift_y = (uniform(-config.translation, config.translation) * 2 for _ in range(2))
    flip = torch.where(torch.rand(count, generator=generator) < config.vertical_flip, -1.0, 1.0)
    gain = uniform(1 - config.gain, 1 + config.gain)
    aspect = size[0] / size[1]  # rotate in pixels, not in the squeezed unit square
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    top = torch.stack([cos, (cos * shear - sin) * aspect, shift_x], dim=1)
    low = torch.stack([sin / aspect, sin * shear + cos, shift_y], dim=1) * flip[:, None]
    return torch.stack([top, low], dim=1), gain
