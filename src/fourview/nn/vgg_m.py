"""VGG-M-128, the network whose last hidden layer has 128 units, and its weights from Caffe's.

Chatfield, Simonyan, Vedaldi, Zisserman 2014, Return of the Devil in the Details, BMVC,
arXiv:1405.3531: "CNN-M" with an fc7 of 128. Its weights were published for Caffe and, converted
from there, for MatConvNet (``imagenet-vgg-m-128.mat``), under terms for research; they are not
shipped. A ``.mat`` file of MatConvNet is read as it is; ``convert_vgg_m`` makes a file from the
arrays that a user took out of the Caffe model.

MatConvNet: ``layers``, a cell of structs with ``name`` and ``weights`` (filters as (row, col, in,
            out) and biases; older files have ``filters`` and ``biases``), dense layers as filters
            too, channels red, green, blue; the mean image as ``meta.normalization.averageImage``
            (older: ``normalization``), (row, col, 3).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.io import loadmat
from torch import Tensor, nn
from torch.nn import functional

from fourview.disk import whole
from fourview.errors import CheckpointError, RecipeError

NAME = "vgg_m_128"
SIDE = 224
EIGHT_BIT = 255.0  # the network was trained on 8-bit values
MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, where no mean image is given
CONV = ("conv1", "conv2", "conv3", "conv4", "conv5")
DENSE = ("fc6", "fc7", "fc8")
_WITH_WEIGHTS = (*CONV, *DENSE)


class VggM128(nn.Module):
    """Grey patches in [0, 1] to their codes: fc7 after the ReLU.

    Grey stands in all three channels, in [0, 255], less the mean image (blue, green, red). Pooling
    rounds up, as Caffe does, so the grids are 109, 54, 26, 13, 13 and 6 cells wide.

    Attributes:
        dim: Length of a code.
    """

    mean: Tensor
    dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN_BGR)[:, None, None].repeat(1, SIDE, SIDE))
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        self.conv2 = nn.Conv2d(96, 256, 5, stride=2, padding=1)
        self.conv3 = nn.Conv2d(256, 512, 3, padding=1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5 = nn.Conv2d(512, 512, 3, padding=1)
        self.fc6 = nn.Linear(512 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, self.dim)
        self.fc8 = nn.Linear(self.dim, 1000)
        self.fc8.requires_grad_(False)  # beyond the code; kept so that a whole model fits
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.dropout = nn.Dropout(0.5)

    def forward(self, pixels: Float[Tensor, "region 1 row col"]) -> Float[Tensor, "region dim"]:
        """Codes of patches of 224 x 224 pixels."""
        if pixels.shape[2:] != (SIDE, SIDE):
            raise RecipeError(
                f"{NAME} reads patches of {SIDE} x {SIDE} pixels, not "
                f"{pixels.shape[2]} x {pixels.shape[3]}; set feed.windows.side={SIDE}"
            )
        x = pixels * EIGHT_BIT - self.mean
        x = self.pool(across_channels(self.conv1(x).relu()))
        x = self.pool(across_channels(self.conv2(x).relu()))
        x = self.conv4(self.conv3(x).relu()).relu()
        x = self.pool(self.conv5(x).relu())
        x = self.dropout(self.fc6(x.flatten(1)).relu())
        return cast("Tensor", self.dropout(self.fc7(x).relu()))


def across_channels(
    x: Float[Tensor, "region channel row col"],
) -> Float[Tensor, "region channel row col"]:
    r"""Local response normalisation: :math:`x (2 + 5e-4 / 5 \sum x^2)^{-3/4}` over five channels.

    As Caffe's layer, and torch's, which took more time than all convolutions of this network: the
    power is made of roots here.
    """
    squares = functional.pad(x.square(), (0, 0, 0, 0, 2, 2))
    channels = x.shape[1]
    total = squares[:, :channels].clone()
    for start in range(1, 5):
        total += squares[:, start : start + channels]
    root = total.mul_(5e-4 / 5).add_(2.0).rsqrt_()
    return x * root * root.sqrt()


def vgg_m_128(weights: str = "none") -> VggM128:
    """The network with random weights, with a ``.mat`` of MatConvNet, or with a converted file.

    Raises:
        RecipeError: Weights are asked for by name; none can be fetched.
        CheckpointError: The file is not one of this network.
    """
    if weights == "imagenet":
        raise RecipeError(
            f"{NAME}: its ImageNet weights cannot be fetched; give MatConvNet's file "
            "imagenet-vgg-m-128.mat as encoder.weights, or one that "
            "fourview.nn.vgg_m.convert_vgg_m wrote, or none"
        )
    model = VggM128()
    if Path(weights).suffix == ".mat":
        model.load_state_dict(_state_of(_matconvnet_arrays(Path(weights)), Path(weights)))
    elif weights != "none":
        try:
            model.load_state_dict(load_file(weights), strict=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{weights}: no weights of {NAME} ({reason})") from error
    return model


def convert_vgg_m(npz: Path, out: Path) -> None:
    """Turn the Caffe model's arrays into a weights file of ``VggM128``.

    Args:
        npz: Has ``conv1.weight``, ``conv1.bias``, ... ``fc8.bias`` as Caffe holds them: filters as
            (out, in, row, col), dense layers as (out, in), channels blue, green, red; and, where
            there is one, ``mean``, the mean image as (3, row, col).
        out: File to write.

    Raises:
        CheckpointError: An array is missing or has another shape, or one is not known.
    """
    try:
        with np.load(npz, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{npz}: cannot be read as arrays: {error}") from error
    with whole(out) as draft:
        save_file(_state_of(arrays, npz), draft)


def _matconvnet_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a MatConvNet file under Caffe's names, laid out as Caffe has them."""
    try:
        file = loadmat(path, struct_as_record=False, squeeze_me=True, chars_as_strings=True)
        layers = [each for each in np.atleast_1d(file["layers"]) if str(each.name) in _WITH_WEIGHTS]
        arrays = {}
        for layer in layers:
            pair = getattr(layer, "weights", None)
            filters, biases = (layer.filters, layer.biases) if pair is None else pair
            filters = np.asarray(filters)
            filters = filters.reshape((1,) * (4 - filters.ndim) + filters.shape)
            swapped = filters.transpose(3, 2, 0, 1)
            dense = layer.name in DENSE
            arrays[f"{layer.name}.weight"] = swapped.reshape(len(swapped), -1) if dense else swapped
            arrays[f"{layer.name}.bias"] = np.ravel(biases)
        arrays["conv1.weight"] = arrays["conv1.weight"][:, ::-1]  # red first -> blue first
        normal = file["meta"].normalization if "meta" in file else file["normalization"]
        mean = np.asarray(normal.averageImage, dtype=np.float32)
        arrays["mean"] = mean[::-1] if mean.ndim == 1 else mean.transpose(2, 0, 1)[::-1]
    except (OSError, KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{path}: no model of MatConvNet with the layers of {NAME} ({error}); "
            "need imagenet-vgg-m-128.mat"
        ) from error
    return arrays


def _state_of(arrays: Mapping[str, np.ndarray], where: Path) -> dict[str, Tensor]:
    wanted = VggM128().state_dict()
    unknown = sorted(set(arrays) - set(wanted))
    missing = sorted(set(wanted) - {"mean"} - set(arrays))
    if unknown or missing:
        raise CheckpointError(
            f"{where}: has {', '.join(unknown) or 'nothing'} that is not known, lacks "
            f"{', '.join(missing) or 'nothing'}; need {', '.join(n for n in wanted if n != 'mean')}"
            " and perhaps mean"
        )
    state = dict(wanted)
    for name, array in arrays.items():
        value = torch.from_numpy(np.array(array, dtype=np.float32))
        value = _centre(value) if name == "mean" else value.reshape(_same_size(value, wanted[name]))
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"{where}: '{name}' has shape {array.shape}, need {tuple(wanted[name].shape)}"
            )
        state[name] = value.contiguous()
    return state


def _same_size(value: Tensor, wanted: Tensor) -> tuple[int, ...]:
    """Caffe pads shapes with ones: (1, 1, 4096, 18432) is (4096, 18432)."""
    squeezed = [n for n in value.shape if n != 1]
    same = squeezed == [n for n in wanted.shape if n != 1]
    return tuple(wanted.shape if same else value.shape)


def _centre(mean: Tensor) -> Tensor:
    """The middle 224 x 224 of a mean image, or the channels' means spread out."""
    mean = mean.reshape(mean.shape[-3:]) if mean.ndim > 3 else mean
    if mean.ndim == 1:
        return mean[:, None, None].repeat(1, SIDE, SIDE)
    top, left = ((n - SIDE) // 2 for n in mean.shape[-2:])
    return mean[:, max(top, 0) : top + SIDE, max(left, 0) : left + SIDE]
