"""The first reason for which a file is no mammogram to read."""

from dataclasses import replace

import pytest

from fourview.dicom.codes import MG_PRESENTATION, MG_PROCESSING
from fourview.dicom.kinds import SourcedKind
from fourview.dicom.triage import Facts, why_left_out
from fourview.dicom.views import ViewFacts
from fourview.entities.reasons import Reason

FACTS = Facts(
    sop_class=MG_PRESENTATION,
    modality="MG",
    image_type=("ORIGINAL", "PRIMARY"),
    intent="FOR PRESENTATION",
    frames=1,
    samples=1,
    photometric="MONOCHROME2",
    has_pixels=True,
    words="",
    is_capture=False,
)


def view(side="R", position="CC"):
    return ViewFacts(side=side, position=position, modifiers=(), source="", notes=())


def reason(view_facts=None, *, for_processing=False, **changes):
    why = why_left_out(
        replace(FACTS, **changes), view_facts or view(), for_processing=for_processing
    )
    return None if why is None else why[0]


def test_a_mammogram_has_no_reason():
    assert reason() is None
    assert reason(photometric="MONOCHROME1") is None


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"has_pixels": False}, Reason.NO_PIXELS),
        ({"modality": "US"}, Reason.MODALITY),
        ({"frames": 60}, Reason.MULTIFRAME),
        ({"frames": 60, "image_type": ("DERIVED", "TOMOSYNTHESIS")}, Reason.TOMOSYNTHESIS),
        ({"samples": 3, "photometric": "RGB"}, Reason.COLOUR),
        ({"intent": "FOR PROCESSING"}, Reason.FOR_PROCESSING),
        ({"sop_class": MG_PROCESSING, "intent": ""}, Reason.FOR_PROCESSING),
        ({"sourced_kind": SourcedKind("cesm_subtracted", "ImageType")}, Reason.SUBTRACTED),
        ({"sourced_kind": SourcedKind("tomosynthesis", "words")}, Reason.TOMOSYNTHESIS),
        ({"is_capture": True, "words": "ImageChecker CAD"}, Reason.CAD),
        ({"image_type": ("DERIVED", "LOCALIZER")}, Reason.LOCALISATION),
        ({"image_type": ("ORIGINAL", "STEREO_LEFT")}, Reason.BIOPSY),
    ],
)
def test_each_thing_that_is_wrong_has_its_reason(changes, want):
    assert reason(**changes) == want


def test_raw_values_are_read_where_they_are_asked_for():
    assert reason(intent="FOR PROCESSING", for_processing=True) is None


def test_cad_within_a_word_is_no_cad():
    assert reason(is_capture=True, words="ARCADE") is None


def test_the_object_comes_before_its_pixels_and_these_before_the_view():
    assert reason(view(side=None), has_pixels=False, frames=2) == Reason.NO_PIXELS
    assert reason(view(side=None), frames=2) == Reason.MULTIFRAME
    assert reason(view(side=None)) == Reason.VIEW
    assert reason(view(side=None), modality=None) == Reason.MODALITY
    assert reason(view(position="CV")) == Reason.CLEAVAGE
