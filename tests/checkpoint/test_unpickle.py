"""The child that reads pickles of others: tensors pass, others are named, nothing is run."""

import pickle

import pytest
import torch
from safetensors.torch import load_file

from fourview.checkpoint.unpickle import main


class Runs:
    """Wants to print when it is unpickled."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("holder", [None, "model", "state_dict", "model_state_dict"])
def test_tensors_pass_wherever_training_code_keeps_them(tmp_path, capsys, holder):
    state = {"a": torch.arange(4.0), "b": torch.ones(2, 2).T, "epoch": 3}
    torch.save(state if holder is None else {holder: state, "optimizer": {}}, tmp_path / "in.pt")
    assert main(tmp_path / "in.pt", tmp_path / "out.safetensors") == 0
    got = load_file(tmp_path / "out.safetensors")
    assert set(got) == {"a", "b"} and torch.equal(got["b"], state["b"])
    assert capsys.readouterr().out == "epoch"


def test_tensors_that_share_memory_come_apart(tmp_path):
    shared = torch.arange(6.0)
    torch.save({"a": shared, "b": shared}, tmp_path / "in.pt")
    assert main(tmp_path / "in.pt", tmp_path / "out.safetensors") == 0
    assert torch.equal(load_file(tmp_path / "out.safetensors")["b"], shared)


def test_what_would_run_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"a": Runs()}, tmp_path / "in.pt")
    assert main(tmp_path / "in.pt", tmp_path / "out") == 3
    told = capsys.readouterr()
    assert "wants to run" in told.err and "run\n" not in told.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps([1])])
def test_what_is_no_file_of_weights_is_said(tmp_path, capsys, content):
    (tmp_path / "in.pt").write_bytes(content)
    assert main(tmp_path / "in.pt", tmp_path / "out") == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_list_of_tensors_has_no_names(tmp_path, capsys):
    torch.save([torch.ones(1)], tmp_path / "in.pt")
    assert main(tmp_path / "in.pt", tmp_path / "out") == 3
    assert "holds a list, need names with tensors" in capsys.readouterr().err
