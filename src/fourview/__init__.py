"""Deep learning on mammograms, from raw DICOM to a report. Research use only.

import fourview

exam = fourview.read_exam("study/")
prediction = fourview.load_model("runs/mine").predict(exam)
fourview.write_report(prediction, exam, "out/")
fourview.write_dicom(prediction, exam, "out/dicom")
result = fourview.measure("scores.parquet", "manifest/", "screening-breast-v1")

Everything here is described, with examples, in docs/api.md. No name here is also that of a
subpackage, so its meaning does not depend on what was imported before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fourview.api import (
        index,
        measure,
        open_manifest,
        open_store,
        read_exam,
        train_recipe,
        write_report,
    )
    from fourview.checkpoint.card import ModelCard, load_checkpoint
    from fourview.checkpoint.convert import convert
    from fourview.contract import ExamBatch, LossTerms, ModelFamily, ModelOutput, Objective, Stage
    from fourview.dicom.exams import read_exams
    from fourview.dicom.header import Header, read_header
    from fourview.dicom.image import read_image
    from fourview.entities import (
        Asked,
        BreastPrediction,
        Exam,
        ExamPrediction,
        Finding,
        Heatmap,
        Image,
        ImagePrediction,
        LeftOut,
        Manifest,
        Metric,
        ProcessedImage,
        Region,
        Result,
        View,
    )
    from fourview.errors import FourviewError
    from fourview.evaluate.compare import Comparison, compare
    from fourview.evaluate.protocols import Protocol, find_protocol
    from fourview.evaluate.table import read_predictions, write_predictions
    from fourview.feeds.dataset import StoreDataset
    from fourview.geometry import Box, Geometry
    from fourview.manifest.check import Problem, check_manifest
    from fourview.manifest.manifest import make_manifest, read_manifest, write_manifest
    from fourview.manifest.split import assign_split
    from fourview.models.find import find_family
    from fourview.outside import use_module
    from fourview.phantom.write import write_phantom
    from fourview.predict.engine import Engine, best_engine
    from fourview.predict.language import LanguageModel, load_language_model
    from fourview.predict.reader import Reader, load_model
    from fourview.predict.run import Run, open_run
    from fourview.preprocess.pipeline import process
    from fourview.preprocess.spec import PixelSpec, pixel_spec
    from fourview.report.dicom.options import DicomOptions, NotMade
    from fourview.report.dicom.write import DicomObject, dicom_objects, write_dicom
    from fourview.report.exam_json import exam_from_json, exam_to_json
    from fourview.report.result_files import write_result
    from fourview.store.prepare import prepare
    from fourview.store.store import Store
    from fourview.study.crossval import cross_validate
    from fourview.study.find_recipe import find_recipe
    from fourview.train.loop import Machine
    from fourview.train.recipe import Recipe, override

__all__ = [
    "Asked",
    "Box",
    "BreastPrediction",
    "Comparison",
    "DicomObject",
    "DicomOptions",
    "Engine",
    "Exam",
    "ExamBatch",
    "ExamPrediction",
    "Finding",
    "FourviewError",
    "Geometry",
    "Header",
    "Heatmap",
    "Image",
    "ImagePrediction",
    "LanguageModel",
    "LeftOut",
    "LossTerms",
    "Machine",
    "Manifest",
    "Metric",
    "ModelCard",
    "ModelFamily",
    "ModelOutput",
    "NotMade",
    "Objective",
    "PixelSpec",
    "Problem",
    "ProcessedImage",
    "Protocol",
    "Reader",
    "Recipe",
    "Region",
    "Result",
    "Run",
    "Stage",
    "Store",
    "StoreDataset",
    "View",
    "__version__",
    "assign_split",
    "best_engine",
    "check_manifest",
    "compare",
    "convert",
    "cross_validate",
    "dicom_objects",
    "exam_from_json",
    "exam_to_json",
    "find_family",
    "find_protocol",
    "find_recipe",
    "index",
    "load_checkpoint",
    "load_language_model",
    "load_model",
    "make_manifest",
    "measure",
    "open_manifest",
    "open_run",
    "open_store",
    "override",
    "pixel_spec",
    "prepare",
    "process",
    "read_exam",
    "read_exams",
    "read_header",
    "read_image",
    "read_manifest",
    "read_predictions",
    "train_recipe",
    "use_module",
    "write_dicom",
    "write_manifest",
    "write_phantom",
    "write_predictions",
    "write_report",
    "write_result",
]

_HOMES = {  # the module of each name, imported (and torch with it) only when it is asked for
    "fourview.api": (
        "index",
        "measure",
        "open_manifest",
        "open_store",
        "read_exam",
        "train_recipe",
        "write_report",
    ),
    "fourview.checkpoint.card": (
        "ModelCard",
        "load_checkpoint",
    ),
    "fourview.checkpoint.convert": ("convert",),
    "fourview.contract": (
        "ExamBatch",
        "LossTerms",
        "ModelFamily",
        "ModelOutput",
        "Objective",
        "Stage",
    ),
    "fourview.dicom.exams": ("read_exams",),
    "fourview.dicom.header": (
        "Header",
        "read_header",
    ),
    "fourview.dicom.image": ("read_image",),
    "fourview.entities": (
        "Asked",
        "BreastPrediction",
        "Exam",
        "ExamPrediction",
        "Finding",
        "Heatmap",
        "Image",
        "ImagePrediction",
        "LeftOut",
        "Manifest",
        "Metric",
        "ProcessedImage",
        "Region",
        "Result",
        "View",
    ),
    "fourview.errors": ("FourviewError",),
    "fourview.evaluate.compare": (
        "Comparison",
        "compare",
    ),
    "fourview.evaluate.protocols": (
        "Protocol",
        "find_protocol",
    ),
    "fourview.evaluate.table": (
        "read_predictions",
        "write_predictions",
    ),
    "fourview.feeds.dataset": ("StoreDataset",),
    "fourview.geometry": (
        "Box",
        "Geometry",
    ),
    "fourview.manifest.check": (
        "Problem",
        "check_manifest",
    ),
    "fourview.manifest.manifest": (
        "make_manifest",
        "read_manifest",
        "write_manifest",
    ),
    "fourview.manifest.split": ("assign_split",),
    "fourview.models.find": ("find_family",),
    "fourview.outside": ("use_module",),
    "fourview.phantom.write": ("write_phantom",),
    "fourview.predict.engine": (
        "Engine",
        "best_engine",
    ),
    "fourview.predict.language": (
        "LanguageModel",
        "load_language_model",
    ),
    "fourview.predict.reader": (
        "Reader",
        "load_model",
    ),
    "fourview.predict.run": (
        "Run",
        "open_run",
    ),
    "fourview.preprocess.pipeline": ("process",),
    "fourview.preprocess.spec": (
        "PixelSpec",
        "pixel_spec",
    ),
    "fourview.report.dicom.options": ("DicomOptions", "NotMade"),
    "fourview.report.dicom.write": (
        "DicomObject",
        "dicom_objects",
        "write_dicom",
    ),
    "fourview.report.exam_json": (
        "exam_from_json",
        "exam_to_json",
    ),
    "fourview.report.result_files": ("write_result",),
    "fourview.store.prepare": ("prepare",),
    "fourview.store.store": ("Store",),
    "fourview.study.crossval": ("cross_validate",),
    "fourview.study.find_recipe": ("find_recipe",),
    "fourview.train.loop": ("Machine",),
    "fourview.train.recipe": (
        "Recipe",
        "override",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and keep it."""
    if name not in _HOME:
        raise AttributeError(f"module 'fourview' has no attribute '{name}'; see docs/api.md")
    globals()[name] = value = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    """All names, imported or not."""
    return sorted({*globals(), *__all__})
