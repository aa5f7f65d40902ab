"""Deep learning on mammograms, from raw DICOM to a report. Research use only.

import fourview

exam = fourview.read_exam("study/")
prediction = fourview.load_model("runs/mine").predict(exam)
fourview.write_report(prediction, exam, "out/")
fourview.write_dicom(prediction, exam, "out/dicom")
result = fourview.evaluate(table, manifest, "screening-breast-v1")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fourview.api import (
        DicomObject,
        DicomOptions,
        NotMade,
        dicom_objects,
        evaluate,
        load_model,
        read_exam,
        write_dicom,
        write_report,
    )

__all__ = [
    "DicomObject",
    "DicomOptions",
    "NotMade",
    "__version__",
    "dicom_objects",
    "evaluate",
    "load_model",
    "read_exam",
    "write_dicom",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and with it torch where it is needed, only when it is asked for."""
    if name in __all__:
        return getattr(import_module("fourview.api"), name)
    raise AttributeError(f"module 'fourview' has no attribute '{name}'")
