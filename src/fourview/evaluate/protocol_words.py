"""What a protocol asks, and of what: it stands with every figure, so that none are mixed up."""

from collections.abc import Mapping

from fourview.evaluate.protocols import Protocol

_TASKS: Mapping[str, str] = {
    "cancer": "cancer",
    "malignant": "malignant or benign",
    "density": "density",
    "birads-m-vs-bn": "malignant against the rest, by BI-RADS",
    "birads-mb-vs-n": "findings against none, by BI-RADS",
    "birads-m-vs-bn-without-3": "malignant against the rest, by BI-RADS without 3",
    "birads-mb-vs-n-without-3": "findings against none, by BI-RADS without 3",
    "birads-0-6": "BI-RADS 0 to 6",
    "birads-0-2": "BI-RADS 0 to 2",
    "birads-1-5": "BI-RADS 1 to 5",
}
_OF_BREASTS: Mapping[str, str] = {
    "views": "both views of a breast",
    "first_of_view": "both views of a breast",
    "images": "all images of a breast",
    "highest": "highest image of a breast",
}
_UNITS: Mapping[str, str] = {
    "image": "single images",
    "exam": "exams",
    "finding": "findings",
    "finding_image": "findings on images",
}


def task_of(protocol: Protocol) -> str:
    """What is asked: cancer, density, BI-RADS 0 to 6, ..."""
    return _TASKS.get(protocol.label, protocol.label)


def view_of(protocol: Protocol) -> str:
    """What one score is of: single images, both views of a breast, ..."""
    if protocol.unit == "breast":
        return _OF_BREASTS[protocol.aggregate]
    return _UNITS[protocol.unit]
