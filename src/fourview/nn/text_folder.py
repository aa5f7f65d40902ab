"""Where the folder of a transformers text model lies, also after it was moved.

A recipe and a card name a folder: ``/models/Bio_ClinicalBERT``, or the plain name that it has on
its hub, ``Bio_ClinicalBERT``. FOURVIEW_MODELS lists folders that hold text models, as PATH lists
folders. A named folder that is not where it was is looked for there, by the longest end of its
path: of ``/old/hub/models--a--b/snapshots/c`` first ``hub/models--a--b/snapshots/c``, then
``models--a--b/snapshots/c``, and so on.

A recipe is a person's own, so any folder may be named in it. A card may come from anywhere, so it
opens what is below FOURVIEW_MODELS only.
"""

import os
from pathlib import Path, PurePath

ALLOWED = "FOURVIEW_MODELS"


def text_folder(name: str) -> Path:
    """The folder that a person named: as it stands, else below FOURVIEW_MODELS, else as it stands.

    It need not exist; who opens it says so.
    """
    here = Path(name)
    return here if here.is_dir() else (allowed_path(name) or here)


def allowed_path(name: str) -> Path | None:
    """What has that name, or the longest end of it, below FOURVIEW_MODELS; None if nothing has."""
    if _below_a_root(Path(name)) and Path(name).exists():
        return Path(name).resolve()
    parts = [part for part in PurePath(name).parts if part != PurePath(name).anchor]
    for start in range(len(parts)):
        for root in _roots():
            candidate = root.joinpath(*parts[start:]).resolve()
            if candidate.exists() and candidate != root and _below_a_root(candidate):
                return candidate
    return None


def is_allowed(name: str) -> bool:
    """Whether a card may name that: it lies below FOURVIEW_MODELS, or the end of it does."""
    return _below_a_root(Path(name)) or allowed_path(name) is not None


def _roots() -> list[Path]:
    return [Path(root).resolve() for root in os.environ.get(ALLOWED, "").split(os.pathsep) if root]


def _below_a_root(path: Path) -> bool:
    return any(path.resolve().is_relative_to(root) for root in _roots())
