"""The child process of ``fourview convert``: a published file in, a safetensors file out.

    python -m fourview.checkpoint.unpickle FILE OUT

Only here is a file of others unpickled, by torch's restricted unpickler (``weights_only``), which
builds tensors and plain containers and runs no code. It knows nothing of models. What it finds that
is no tensor is named on standard output, one name per line; errors go to standard error, with exit
code 3.
"""

import pickle
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

ASKS = re.compile(r"GLOBAL (\S+)")  # what a pickle wants to call
HOLDERS = ("model", "state_dict", "model_state_dict")  # names under which others keep weights


def main(source: Path, out: Path) -> int:
    """Read, flatten, write."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 (a process's edge: bytes of others raise anything)
        sys.stderr.write(f"{_first_line(error)}\n")
        return 3
    if not isinstance(content, Mapping):
        sys.stderr.write(f"holds a {type(content).__name__}, need names with tensors\n")
        return 3
    tensors, others = {}, []
    for name, value in _flat(content):
        if isinstance(value, Tensor):
            tensors[name] = value.detach().to_dense().clone().contiguous()  # repeated ones apart
        else:
            others.append(name)
    save_file(tensors, out)
    sys.stdout.write("\n".join(others))
    return 0


def _flat(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The state dict itself, or the one that training code keeps beside its own things."""
    held = next((content[h] for h in HOLDERS if isinstance(content.get(h), Mapping)), content)
    for name, value in held.items():
        yield str(name), value


def _first_line(error: Exception) -> str:
    """What torch says, without its advice to load the file unsafely."""
    asked = ASKS.search(str(error))
    if asked is not None:
        return f"it wants to run {asked[1]}, which makes no tensor; do not trust the file"
    expected = (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError)
    if not isinstance(error, expected) or "WeightsUnpickler error" in str(error):
        return "it is no file that torch saved"
    return str(error).partition("\n")[0].partition(". ")[0][:300] or type(error).__name__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
