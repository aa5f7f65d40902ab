"""``fourview doctor``: what this machine has."""

import json as jsonlib
import os
import shutil
import time
from pathlib import Path

import imagecodecs
import numpy as np
import torch

from fourview import __version__
from fourview.cli.say import say
from fourview.errors import CheckpointError
from fourview.predict.engine import best_engine
from fourview.predict.reader import load_model

SIDE = 1024  # of the test picture
BITS = 12
CODECS = ("JPEG2K", "JPEGLS", "LJPEG", "JPEG8", "HTJ2K")


def doctor(*, json: bool = False) -> None:
    """Show versions, processors, disk, codecs with their speed, and whether the model loads.

    Args:
        json: Print as JSON.
    """
    facts = {
        "fourview": __version__,
        "torch": torch.__version__,
        "processors": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "reads in": best_engine(many=False).description,
        "free disk": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB",
        "embedded model": _model(),
        **{f"decodes {name}": _speed(name) for name in CODECS},
    }
    if json:
        print(jsonlib.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        say(f"{name:<16} {value}")


def _model() -> str:
    try:
        return load_model().card.digest[:16]
    except CheckpointError as error:
        return f"cannot be loaded: {error}"


def _speed(codec: str) -> str:
    """Megapixels per second of one 12-bit picture, or why there are none."""
    smooth = np.cumsum(np.random.default_rng(0).normal(0, 4, (SIDE, SIDE)), axis=1)
    high = 255 if codec == "JPEG8" else 2**BITS - 1
    picture = np.clip(smooth + high / 2, 0, high).astype(
        np.uint8 if codec == "JPEG8" else np.uint16
    )
    encode = getattr(imagecodecs, f"{codec.lower()}_encode", None)
    decode = getattr(imagecodecs, f"{codec.lower()}_decode", None)
    try:
        data = encode(picture) if encode is not None else None
        start = time.perf_counter()
        if data is None or decode is None:
            return "missing"
        decode(data)
    except (ImportError, RuntimeError, ValueError) as error:
        return f"missing ({type(error).__name__})"
    return f"{SIDE * SIDE / 1e6 / (time.perf_counter() - start):.0f} megapixels a second"
