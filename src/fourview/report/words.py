"""What pages and the command line say in words: classes, operating points, facts of an exam."""

import re
from collections.abc import Sequence
from typing import Any

from fourview.entities import SIDES, Asked, BreastPrediction, ExamPrediction, Image

_POINT = re.compile(r"(sensitivity|specificity)-(0?\.\d+|1\.0+)")
_AGE = re.compile(r"0*(\d{1,3})([DWMY]?)")  # an AS of DICOM (PS3.5 6.2), or years alone
_UNITS = {"D": "day", "W": "week", "M": "month", "Y": "year", "": "year"}


def point_words(name: str) -> str:
    """What an operating point is, for a person; the name itself where it is of no known kind.

    >>> point_words("sensitivity-0.90")
    '90 % sensitivity'
    >>> point_words("youden")
    'best sum of sensitivity and specificity'
    """
    match = _POINT.fullmatch(name)
    if match is not None:
        return f"{100 * float(match[2]):g} % {match[1]}"
    return "best sum of sensitivity and specificity" if name == "youden" else name


def class_text(asked: Asked, breast: BreastPrediction) -> str:
    """The scores of one task for a breast in a line; empty where it has none.

    >>> density = Asked(name="density", classes=("A", "B"))
    >>> class_text(density, BreastPrediction(side="L", score=None, scores={"A": 0.2, "B": 0.8}))
    'density B (A 0.200, B 0.800)'
    """
    known = [name for name in asked.classes if name in breast.scores]
    each = ", ".join(f"{name} {breast.scores[name]:.3f}" for name in known)
    if not known or not asked.is_choice:
        return each
    return f"{asked.name} {asked.best(breast.scores)} ({each})"


def other_texts(prediction: ExamPrediction, breast: BreastPrediction) -> tuple[str, ...]:
    """All that is said of a breast beside its suspicion, task by task."""
    texts = (class_text(a, breast) for a in prediction.asked if a.is_choice or len(a.classes) > 1)
    return tuple(text for text in texts if text)


def exam_facts(prediction: ExamPrediction, images: Sequence[Image]) -> list[dict[str, str]]:
    """Date, age, vendor and density of an exam; what is not known is left out.

    Returns:
        ``name`` and ``value`` of each, with several values where the images differ.
    """
    facts = {
        "Date": _each(images, _date),
        "Age": _each(images, _age),
        "Vendor": _each(images, _vendor),
        "Density (model)": _density(prediction),
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _each(images: Sequence[Image], say: Any) -> str:
    texts = (say(image) for image in images)
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _date(image: Image) -> str:
    day = image.metadata.get("study_date", "") or image.metadata.get("acquired", "")
    digits = day[:8]
    if not re.fullmatch(r"\d{8}", digits):
        return ""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def _age(image: Image) -> str:
    match = _AGE.fullmatch(image.metadata.get("age", "").strip().upper())
    if match is None:
        return ""
    number = int(match[1])
    return f"{number} {_UNITS[match[2]]}{'' if number == 1 else 's'}"


def _vendor(image: Image) -> str:
    parts = (image.metadata.get(key, "").strip() for key in ("manufacturer", "model"))
    return " ".join(part for part in parts if part)


def _density(prediction: ExamPrediction) -> str:
    asked = next((a for a in prediction.asked if a.name == "density" and a.is_choice), None)
    if asked is None:
        return ""
    best = {b.side: asked.best(b.scores) for b in prediction.breasts}
    known = {side: best[side] for side in SIDES if best.get(side)}
    if len(known) == len(SIDES) and len(set(known.values())) == 1:
        return str(known["R"])
    return ", ".join(f"{side} {letter}" for side, letter in known.items())
