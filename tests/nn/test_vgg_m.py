"""VGG-M-128: the published grids, and weights from Caffe's arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from fourview.errors import CheckpointError, RecipeError
from fourview.nn.encoder import EncoderConfig
from fourview.nn.region_encoder import RegionEncoder, RegionEncoderConfig
from fourview.nn.vgg_m import (
    EIGHT_BIT,
    MEAN_BGR,
    VggM128,
    _state_of,
    across_channels,
    convert_vgg_m,
    vgg_m_128,
)

GRIDS = {"conv1": 109, "conv2": 26, "conv3": 13, "conv4": 13, "conv5": 13}
CHANNELS = {"conv1": 96, "conv2": 256, "conv3": 512, "conv4": 512, "conv5": 512}


@pytest.fixture(scope="module")
def network() -> VggM128:
    torch.manual_seed(0)
    return vgg_m_128("none").eval()


def test_grids_are_the_published_ones_and_the_code_is_fc7(network):
    seen = {}
    for name in (*GRIDS, "fc6", "fc7"):
        layer = getattr(network, name)
        layer.register_forward_hook(lambda _m, _i, out, n=name: seen.update({n: out}))
    with torch.no_grad():
        code = network(torch.rand(1, 1, 224, 224, generator=torch.Generator().manual_seed(0)))
    for name, side in GRIDS.items():
        assert seen[name].shape == (1, CHANNELS[name], side, side)
    assert network.fc6.in_features == 512 * 6 * 6 == 18432
    assert seen["fc6"].shape == (1, 4096) and code.shape == (1, 128)
    assert torch.equal(code, seen["fc7"].relu())


def test_grey_stands_in_three_channels_less_the_mean(network):
    seen = {}
    hook = network.conv1.register_forward_pre_hook(lambda _m, i: seen.update(x=i[0]))
    with torch.no_grad():
        network(torch.full((1, 1, 224, 224), 0.5))
    hook.remove()
    wanted = torch.tensor([0.5 * EIGHT_BIT - mean for mean in MEAN_BGR])
    torch.testing.assert_close(seen["x"][0, :, 7, 9], wanted)


def test_the_normalisation_is_caffes():
    """Sum over five channels around it, alpha over their number: Krizhevsky's with alpha 5e-4."""
    x = torch.randn(1, 8, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x * 200
    flat = x.flatten().tolist()
    wanted = [
        v / (2.0 + 5e-4 / 5 * sum(w * w for w in flat[max(i - 2, 0) : i + 3])) ** 0.75
        for i, v in enumerate(flat)
    ]
    got = across_channels(x).flatten().tolist()
    assert got == pytest.approx(wanted, rel=1e-12)  # float64
    torch_has = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(x)
    assert got == pytest.approx(torch_has.flatten().tolist(), rel=1e-12)


def test_caffe_arrays_land_where_they_belong():
    shapes = {k: tuple(v.shape) for k, v in VggM128().state_dict().items() if k != "mean"}
    arrays = {k: np.broadcast_to(np.float32(i), s) for i, (k, s) in enumerate(shapes.items())}
    arrays["fc7.weight"] = arrays["fc7.weight"][None, None]  # as Caffe pads shapes
    arrays["mean"] = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((3, 256, 256), "f4")
    state = _state_of(arrays, Path("made.npz"))
    for number, name in enumerate(shapes):
        assert state[name].shape == shapes[name] and (state[name] == number).all()
    assert state["mean"].shape == (3, 224, 224) and state["mean"][2].unique().tolist() == [2]


def test_other_files_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "some.npz", **{"conv1.weight": np.zeros((96, 3, 7, 7), "f4")})
    with pytest.raises(CheckpointError, match=r"lacks conv1\.bias"):
        convert_vgg_m(tmp_path / "some.npz", tmp_path / "out.safetensors")
    with pytest.raises(RecipeError, match="cannot be fetched"):
        vgg_m_128("imagenet")
    assert not (tmp_path / "out.safetensors").exists()


def test_windows_of_another_size_are_refused(network):
    with pytest.raises(RecipeError, match=r"feed\.windows\.side=224"):
        network(torch.zeros(1, 1, 96, 96))


def test_a_region_encoder_says_how_long_its_codes_are():
    network = EncoderConfig(name="vgg_m_128", weights="none")
    encoder = RegionEncoder(RegionEncoderConfig(network=network))
    assert encoder.dim == 128 and not encoder.is_grid


@pytest.mark.parametrize("old", [False, True])
def test_a_matconvnet_file_is_read_as_it_is(network, tmp_path, old):
    """The network's own weights written as MatConvNet lays them out give the same codes."""
    state = {k: v.numpy() for k, v in network.state_dict().items()}
    layers = []
    for name in (*GRIDS, "fc6", "fc7", "fc8"):
        weight = state[f"{name}.weight"]
        weight = weight.reshape(len(weight), 512, 6, 6) if name == "fc6" else weight
        weight = weight[:, :, None, None] if weight.ndim == 2 else weight
        filters = weight.transpose(2, 3, 1, 0)
        if name == "conv1":
            filters = filters[:, :, ::-1]  # red first
        biases = state[f"{name}.bias"][None]
        cell = np.empty(2, dtype=object)
        cell[:] = [filters, biases]
        held = {"filters": filters, "biases": biases} if old else {"weights": cell}
        layers += [{"type": "conv", "name": name, **held}, {"type": "relu", "name": f"relu_{name}"}]
    listed = np.empty(len(layers), dtype=object)
    listed[:] = layers
    normal = {"averageImage": state["mean"][::-1].transpose(1, 2, 0)}
    content = {"normalization": normal} if old else {"meta": {"normalization": normal}}
    savemat(tmp_path / "vgg.mat", {"layers": listed, **content})
    read = vgg_m_128(str(tmp_path / "vgg.mat")).eval()
    pixels = torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(read(pixels), network(pixels))


def test_another_mat_file_is_refused_in_one_line(tmp_path):
    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(CheckpointError, match=r"other\.mat: no model of MatConvNet"):
        vgg_m_128(str(tmp_path / "other.mat"))
