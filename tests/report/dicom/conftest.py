"""Exams of the three phantom vendors, and a small exam of four views, as files."""

import pytest

from dicom_output_examples import exam_in, write_exam
from fourview.phantom.write import write_phantom


@pytest.fixture(scope="session", params="ABC")
def phantom_exam(request, tmp_path_factory):
    """LINEAR_EXACT in plain bytes, SIGMOID on MONOCHROME1 in RLE, a 12-bit table in JPEG."""
    root = tmp_path_factory.mktemp(f"phantom-{request.param}")
    syntax = {"A": "1.2.840.10008.1.2.1", "B": "1.2.840.10008.1.2.5"}.get(
        request.param, "1.2.840.10008.1.2.4.70"
    )
    write_phantom(
        root,
        num_exams=1,
        seed=7,
        preset="enriched",
        rows=256,
        vendors=(request.param,),
        syntaxes=(syntax,),
        workers=1,
    )
    return exam_in(root / "dicom")


@pytest.fixture(scope="session")
def small_exam(tmp_path_factory):
    """Four views of 60 x 44 pixels."""
    folder = tmp_path_factory.mktemp("small")
    write_exam(folder)
    return exam_in(folder)
