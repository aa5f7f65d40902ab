"""NYU exam lists (GMIC, breast_cancer_classifier, the metarepository) -> Manifest.

Reads:   the one pickled list in ROOT (*.pkl, *.p, *.pickle) with an unpickler that admits plain
         containers, texts and numbers and refuses every class; pixels stay in ROOT/images/ID.png.
Labels:  ``cancer_label``: left_malignant and right_malignant, 1 or 0; an exam whose ``unknown`` is
         1 is unknown. Benign labels are kept as ``benign``.
Regions: ROOT/findings.csv, where there is one (``_findings_table``); the list itself has none.
Exams:   the list has no ids: exam and patient are the row, counted from 0. Two exams of one woman
         cannot be told, so a split of this list may leak unless the list has one exam per woman.
Frame:   ``horizontal_flip`` is YES where all chest walls of an exam are on the other side; pixels
         are stored as they are, and the word is kept.
"""

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from fourview.entities import SLOTS, Manifest
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.sources._findings_table import FINDINGS_FILE, read_findings_table
from fourview.sources._tables import find_file

FLIPS = ("YES", "NO")
SIDE_WORDS = {"R": "right", "L": "left"}
TERMS = "The terms of whoever made the exam list; ask before passing on weights."
RULES = {
    "cancer": "cancer_label: left_malignant and right_malignant; null where unknown is 1",
    "benign": "cancer_label: left_benign and right_benign; null where absent",
}
IMAGE_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("exam_id", "image_id", "side", "view", "path", "horizontal_flip"), pl.String),
    "rank": pl.Int64,
}
BREAST_SCHEMA: dict[str, Any] = {
    "exam_id": pl.String,
    "side": pl.String,
    "cancer": pl.Int8,
    "benign": pl.Int8,
}


class _PlainUnpickler(pickle.Unpickler):
    """Builds containers, texts and numbers; anything that names a class or function is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for the outside object {pid!r}")


def read_nyu(root: Path) -> Manifest:
    """Turn the exam list in ROOT into a manifest.

    Raises:
        ManifestError: There is no list, it holds more than plain data, or an exam is malformed.
    """
    path = find_file(root, "*.pkl", "*.p", "*.pickle")
    exams = read_plain_pickle(path)
    if not isinstance(exams, list) or not all(isinstance(exam, dict) for exam in exams):
        raise ManifestError(f"{path}: is no list of exams; need a list of dictionaries")
    width = len(str(len(exams)))
    images, breasts = [], []
    for number, exam in enumerate(exams):
        exam_id, where = f"{number:0{width}d}", f"{path}: exam {number}"
        images += list(_images(exam, exam_id, where))
        breasts += list(_breasts(exam, exam_id, where))
    image_table = pl.DataFrame(images, IMAGE_SCHEMA, orient="row")
    image_table = image_table.with_columns(patient_id="exam_id", kind=pl.lit("ffdm"))
    breast_table = pl.DataFrame(breasts, BREAST_SCHEMA, orient="row")
    return make_manifest(
        source="nyu",
        root=root,
        images=image_table,
        breasts=breast_table.with_columns(patient_id="exam_id"),
        findings=read_findings_table(root / FINDINGS_FILE, image_table),
        terms=TERMS,
        label_rules=RULES,
        may_release_weights=False,
    )


def read_plain_pickle(path: Path) -> Any:
    """What a pickle holds, if that is plain containers, texts and numbers only.

    Raises:
        ManifestError: It cannot be read, or names a class, a function or an outside object.
    """
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
        raise ManifestError(f"{path}: is refused ({error}); need plain lists and texts") from None
    except (OSError, AttributeError, TypeError, MemoryError, OverflowError) as error:
        raise ManifestError(f"{path}: is damaged ({error})") from None


def _images(exam: Mapping[str, Any], exam_id: str, where: str) -> Iterator[tuple[Any, ...]]:
    """One row for each image id of each of the four views; several of a view keep their order."""
    flip = exam.get("horizontal_flip")
    if flip not in FLIPS:
        raise ManifestError(f"{where}: horizontal_flip is {flip!r}, need 'YES' or 'NO'")
    for slot in SLOTS:
        names = exam.get(slot, [])
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            raise ManifestError(f"{where}: {slot} is {names!r}, need a list of image ids")
        side, view = slot.split("-")
        for rank, name in enumerate(names):
            yield exam_id, name, side, view, f"images/{name}.png", flip, rank


def _breasts(exam: Mapping[str, Any], exam_id: str, where: str) -> Iterator[tuple[Any, ...]]:
    label = exam.get("cancer_label")
    if label is None:
        return
    if not isinstance(label, dict):
        raise ManifestError(f"{where}: cancer_label is {label!r}, need a dictionary")
    unknown = label.get("unknown") == 1
    for side, word in SIDE_WORDS.items():
        malignant, benign = label.get(f"{word}_malignant"), label.get(f"{word}_benign")
        if malignant not in (0, 1) or benign not in (0, 1, None):
            raise ManifestError(
                f"{where}: {word}_malignant is {malignant!r}, {word}_benign {benign!r}; need 0, 1"
            )
        yield exam_id, side, None if unknown else malignant, None if unknown else benign
