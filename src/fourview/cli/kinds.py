"""Kinds of DICOM object as options name them, refused as usage where there is no such kind."""

from typing import Annotated, Any

from cyclopts import Parameter

from fourview.report.dicom.options import parse_kinds


def _check(_type: Any, words: list[str] | None) -> None:
    if words is not None:
        parse_kinds(words)  # its ValueError says which kinds there are


Kinds = Annotated[list[str] | None, Parameter(validator=_check)]
