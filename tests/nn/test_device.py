"""Devices that this machine has, by name."""

import pytest
import torch

from fourview.errors import DeviceError
from fourview.nn.device import devices, find_device


def test_the_best_is_first_and_the_processor_is_always_there():
    assert devices()[-1] == "cpu"
    assert find_device("cpu") == torch.device("cpu")
    assert str(find_device()) in ("cuda", "cpu")
    assert find_device("best") == find_device()


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "cpu:one", ""])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(DeviceError, match="need one of cpu, cuda, mps, xpu"):
        find_device(name)


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(DeviceError, match=r"this machine has .*cpu only"):
        find_device("cuda:99")
    with pytest.raises(DeviceError, match=r"this machine has .*cpu only"):
        find_device("cpu:1")
