"""Side, position and modifiers: every code, every order of precedence, every reason."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from dicom_examples import (
    EXPLICIT,
    IMPLICIT,
    code,
    dicom_bytes,
    mammogram,
    with_view,
    write_mammogram,
)
from fourview.dicom.codes import MODIFIER_CODES, VIEW_CODES
from fourview.dicom.header import read_header
from fourview.dicom.views import patient_of_film

POSITION_OF_MEANING = {
    "cranio-caudal": "CC",
    "medio-lateral oblique": "MLO",
    "medial-lateral": "ML",
    "latero-medial": "LM",
    "latero-medial oblique": "LMO",
    "caudo-cranial": "FB",
    "superolateral to inferomedial oblique": "SIO",
    "inferomedial to superolateral oblique": "ISO",
    "cranio-caudal exaggerated laterally": "XCCL",
    "cranio-caudal exaggerated medially": "XCCM",
    "tissue specimen from breast": "specimen",
}
MODIFIER_OF_MEANING = {"Spot Compression": "spot"}


def entries(cid):
    """Code and meaning of a context group, in SNOMED CT and in the older style."""
    for scheme, names in cid_concepts[cid].items():
        for name in names:
            for value, (meaning, _) in concepts[scheme][name].items():
                yield value, meaning
                yield mapping["SCT"][value], meaning


def header_of(tmp_path, dataset, syntax=EXPLICIT):
    return read_header(write_mammogram(tmp_path / "a.dcm", dataset, syntax=syntax))


def bare(**attributes):
    return mammogram(**{"ImageLaterality": None, "ViewPosition": None, **attributes})


def test_every_code_of_cid_4014_and_4015_is_known_and_no_other():
    views = dict(entries(4014))
    assert {value: POSITION_OF_MEANING[meaning] for value, meaning in views.items()} == VIEW_CODES
    modifiers = {
        value: MODIFIER_OF_MEANING.get(meaning, meaning.lower().replace("-", "_").replace(" ", "_"))
        for value, meaning in entries(4015)
    }
    assert modifiers == MODIFIER_CODES


@pytest.mark.parametrize("value", [c for c, p in VIEW_CODES.items() if p != "specimen"])
def test_the_view_code_goes_before_view_position(value, tmp_path):
    dataset = with_view(mammogram(ViewPosition="AT"), value)
    header = header_of(tmp_path, dataset)
    assert header.position == VIEW_CODES[value]
    assert header.view_source == "ViewCodeSequence, ImageLaterality"
    assert any("ViewPosition says AT" in note for note in header.notes)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("value", MODIFIER_CODES)
def test_every_modifier_is_read_in_the_view_item(value, syntax, tmp_path):
    header = header_of(tmp_path, with_view(mammogram(), "399162004", value), syntax)
    assert header.modifiers == (MODIFIER_CODES[value],)
    out = {"spot", "magnification", "cleavage"} & {MODIFIER_CODES[value]}
    assert header.left_out == (out.pop() if out else None)


SIDES = [  # attributes, side, source, part of a note
    ({"ImageLaterality": "R"}, "R", "ImageLaterality", None),
    ({"Laterality": "L"}, "L", "Laterality", None),
    ({"ImageLaterality": "R", "Laterality": "L"}, "R", "ImageLaterality", "Laterality says L"),
    ({"ImageLaterality": "RIGHT"}, "R", "ImageLaterality", None),
    ({"ImageLaterality": "B"}, None, "", "neither R nor L"),
    ({"ImageLaterality": "B", "Laterality": "L"}, "L", "Laterality", "neither R nor L"),
    ({"SeriesDescription": "LEFT CC"}, "L", "SeriesDescription", None),
    ({"SeriesDescription": "RCC"}, "R", "SeriesDescription", None),
    ({"SeriesDescription": "L-CC, R-CC"}, None, "", None),
    ({"SeriesDescription": "LEFTOVER"}, None, "", None),
    ({"PatientID": "Calc_P_7_RIGHT_CC"}, "R", "PatientID", None),
    ({"ImageLaterality": "L", "PatientID": "P_7_RIGHT_CC"}, "L", "ImageLaterality", "PatientID"),
    ({"PatientOrientation": ["P", "L"]}, "R", "PatientOrientation", "alone"),
    ({"PatientOrientation": ["A", "R"]}, "L", "PatientOrientation", "alone"),
    ({"PatientOrientation": ["P", "FL"]}, "R", "PatientOrientation", "alone"),
    ({"PatientOrientation": ["A", "FR"]}, "L", "PatientOrientation", "alone"),
]


@pytest.mark.parametrize(("attributes", "side", "source", "note"), SIDES)
def test_the_side_is_taken_from_the_first_that_tells(attributes, side, source, note, tmp_path):
    header = header_of(tmp_path, bare(ViewPosition="CC", **attributes))
    assert header.side == side
    if side is not None:
        assert source in header.view_source.split(", ")
    assert any(note in n for n in header.notes) if note else not header.notes


POSITIONS = [
    ({"ViewPosition": "MLO"}, "MLO", None),
    ({"ViewPosition": "PA"}, None, "no known view"),
    ({"PatientOrientation": "MLO"}, "MLO", None),
    ({"PatientOrientation": ["A", "FR"]}, "MLO", "alone"),
    ({"PatientOrientation": ["P", "F"]}, "ML", "alone"),
    ({"PatientOrientation": ["H", "F"]}, None, None),
    ({"SeriesDescription": "XCCL"}, "XCCL", None),
    ({"ViewPosition": "CC", "SeriesDescription": "L MLO"}, "CC", "SeriesDescription says MLO"),
]


@pytest.mark.parametrize(("attributes", "position", "note"), POSITIONS)
def test_the_position_is_taken_from_the_first_that_tells(attributes, position, note, tmp_path):
    header = header_of(tmp_path, bare(ImageLaterality="L", **attributes))
    assert header.position == position
    assert any(note in n for n in header.notes) if note else not header.notes
    assert header.left_out == (None if position else "view")


def test_side_and_spacing_in_functional_groups_are_found(tmp_path):
    anatomy, measures, group = Dataset(), Dataset(), Dataset()
    anatomy.FrameLaterality = "R"
    measures.PixelSpacing = [0.1, 0.1]
    group.FrameAnatomySequence = Sequence([anatomy])
    group.PixelMeasuresSequence = Sequence([measures])
    for place in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        dataset = with_view(bare(ImagerPixelSpacing=None), "399368009")
        setattr(dataset, place, Sequence([group]))
        header = header_of(tmp_path, dataset)
        assert (header.side, header.position) == ("R", "MLO")
        assert header.view_source == "ViewCodeSequence, FrameLaterality"
        assert header.spacing_mm == (0.1, 0.1)


LEFT_OUT = [
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.50"}, "cad"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22"}, "report"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "presentation"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}, "tomosynthesis"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "segmentation"),
    ({"NumberOfFrames": 40}, "multiframe"),
    ({"NumberOfFrames": 40, "ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS"]}, "tomosynthesis"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}, "for_processing"),
    ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
    ({"PhotometricInterpretation": "HSV"}, "colour"),
    ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
    ({"Modality": "US"}, "modality"),
    ({"Modality": "MR"}, "modality"),
    ({"Modality": "CR", "ViewPosition": None}, "modality"),
    ({"Modality": "CR"}, None),
    ({"ViewPosition": None}, "view"),
    ({"ViewPosition": "CV"}, "cleavage"),
    ({"ImageType": ["DERIVED", "PRIMARY", "", "RECOMBINED"]}, "subtracted"),
    ({"ImageType": ["DERIVED", "PRIMARY", "", "LOW_ENERGY"]}, None),
    ({"SeriesDescription": "L CC spot"}, "spot"),
    ({"SeriesDescription": "L CC MAG"}, "magnification"),
    ({"SeriesDescription": "wire localization"}, "localisation"),
    ({"SeriesDescription": "specimen"}, "specimen"),
    ({"SeriesDescription": "Stereotactic biopsy"}, "biopsy"),
    ({"EstimatedRadiographicMagnificationFactor": 1.8}, "magnification"),
    ({"EstimatedRadiographicMagnificationFactor": 1.07}, None),
    (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "SeriesDescription": "iCAD findings"},
        "cad",
    ),
]


@pytest.mark.parametrize(("attributes", "reason"), LEFT_OUT)
def test_what_is_no_mammogram_to_read_has_its_reason(attributes, reason, tmp_path):
    header = header_of(tmp_path, mammogram(**attributes))
    assert header.left_out == reason
    assert bool(header.detail) == (reason is not None)


def test_specimens_and_missing_pixels_are_left_out(tmp_path):
    assert header_of(tmp_path, with_view(mammogram(), "127457009")).left_out == "specimen"
    path = tmp_path / "b.dcm"
    path.write_bytes(dicom_bytes(mammogram(), None))
    assert read_header(path).left_out == "no_pixels"


def test_for_processing_is_read_where_asked(tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", mammogram(PresentationIntentType="FOR PROCESSING"))
    header = read_header(path, for_processing=True)
    assert header.left_out is None
    assert not header.is_for_presentation


def test_an_unknown_code_is_a_note(tmp_path):
    dataset = mammogram()
    dataset.ViewCodeSequence = Sequence([code("12345", "99X")])
    header = header_of(tmp_path, dataset)
    assert header.position == "CC"
    assert any("12345" in note for note in header.notes)


@pytest.mark.parametrize(
    ("patient_id", "patient"),
    [
        ("Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00001"),
        ("Calc-Test_P_00038_RIGHT_MLO_1", "Calc-Test_P_00038"),
        ("P_00038", None),
        ("LEFT_CC", None),
    ],
)
def test_the_patient_is_what_stands_before_the_view(patient_id, patient):
    assert patient_of_film(patient_id) == patient
