"""Views, sides and kinds that stand in attributes other than their own."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._snomed_dict import mapping

from dicom_examples import EXPLICIT, IMPLICIT, code, mammogram, write_mammogram
from fourview.dicom.codes import SIDE_CODES
from fourview.dicom.header import read_header
from fourview.dicom.view_words import views_in

WORDS = [  # text, sides, positions
    ("L CC", {"L"}, {"CC"}),
    ("RMLO", {"R"}, {"MLO"}),
    ("CC-L", {"L"}, {"CC"}),
    ("MLO RIGHT", {"R"}, {"MLO"}),
    ("Kraniokaudal links", {"L"}, {"CC"}),
    ("mediolateral schräg rechts", {"R"}, {"MLO"}),
    ("Cranio-caudale, sein gauche", {"L"}, {"CC"}),
    ("OBLICUA MEDIOLATERAL DERECHA", {"R"}, {"MLO"}),
    ("latero-medial, left", {"L"}, {"LM"}),
    ("Medio-Lateral Oblique RT", {"R"}, {"MLO"}),
    ("LCC RCC", {"L", "R"}, {"CC"}),
    ("5 CC contrast", set(), set()),
    ("look AT this", set(), set()),
    ("R LAT", set(), set()),
    ("20 ML", set(), set()),
    ("ACCESS", set(), set()),
]


@pytest.mark.parametrize(("text", "sides", "positions"), WORDS)
def test_views_in_words(text, sides, positions):
    assert views_in(text) == (sides, positions)


FREE = [
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "AcquisitionDeviceProcessingCode",
    "ImageComments",
    "DerivationDescription",
    "PerformedProcedureStepDescription",
    "SeriesDescription",
    "StudyDescription",
    "RequestedProcedureDescription",
    "AcquisitionProtocolDescription",
    "BodyPartExamined",
]


def bare(**attributes):
    return mammogram(**{"ImageLaterality": None, "ViewPosition": None, **attributes})


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("keyword", FREE)
def test_any_free_text_may_tell_side_and_view(keyword, syntax, tmp_path):
    dataset = bare(**{keyword: "R MLO"})
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset, syntax=syntax))
    assert header.view.name == "R-MLO"
    assert header.view_source == keyword


def test_a_private_text_may_tell(tmp_path):
    dataset = bare()
    dataset.private_block(0x0019, "Maker", create=True).add_new(0x10, "LO", "LEFT CC")
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset))
    assert header.view.name == "L-CC"
    assert "private element (0019,1010)" in header.view_source


def test_what_names_people_and_places_does_not_tell(tmp_path):
    dataset = bare(InstitutionName="CC Hospital", StationName="MLO1", AccessionNumber="L CC 7")
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset))
    assert header.left_out == "view"


def test_own_attributes_go_first_and_the_other_word_is_a_note(tmp_path):
    dataset = mammogram(ProtocolName="R CC")
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset))
    assert header.view.name == "L-CC"
    assert any("ProtocolName says R" in note for note in header.notes)


@pytest.mark.parametrize(
    ("attributes", "view"),
    [
        ({"ViewPosition": "LCC"}, "L-CC"),
        ({"ViewPosition": "R MLO"}, "R-MLO"),
        ({"ViewPosition": "MLO", "ImageLaterality": "LT"}, "L-MLO"),
        ({"ViewPosition": "CC", "ImageLaterality": "RIGHT BREAST"}, "R-CC"),
        ({"PatientOrientation": ["A", "HL"]}, "L-MLO"),
        ({"PatientOrientation": ["FR", "A"]}, "L-MLO"),
    ],
)
def test_values_that_say_more_or_less_than_they_should(attributes, view, tmp_path):
    header = read_header(write_mammogram(tmp_path / "a.dcm", bare(**attributes)))
    assert header.view.name == view


@pytest.mark.parametrize("value", SIDE_CODES)
def test_the_anatomic_region_tells_the_side(value, tmp_path):
    region = code("76752008")
    if value in ("7771000", "24028007", "G-A101", "G-A100"):
        region.AnatomicRegionModifierSequence = Sequence([code(value)])
    else:
        region = code(value)
    dataset = bare(ViewPosition="CC", AnatomicRegionSequence=Sequence([region]))
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset))
    assert header.side == SIDE_CODES[value]


def test_codes_of_sides_are_those_of_two_dictionaries():
    old = {mapping["SRT"][v]: SIDE_CODES[v] for v in SIDE_CODES if v in mapping["SRT"]}
    assert old
    assert all(SIDE_CODES[value] == side for value, side in old.items())


def test_a_code_that_is_unknown_may_have_a_meaning(tmp_path):
    item = code("X-1", "99ACME", "cranio-caudal")
    header = read_header(
        write_mammogram(tmp_path / "a.dcm", bare(ImageLaterality="L", ViewCodeSequence=[item]))
    )
    assert header.view.name == "L-CC"
    assert any("its meaning was taken" in note for note in header.notes)


SYNTHETIC = [
    "L CC C-View",
    "C VIEW",
    "CVIEW RMLO",
    "V-Preview",
    "VPreview L CC",
    "R MLO S-View",
    "G-View",
    "Insight 2D",
    "Intelligent 2D",
    "L CC i2D",
    "Synthesized 2D",
    "Synthetic mammogram",
    "SYN2D",
    "L CC S2D",
    "TOMO_2D",
]


@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName", "ImageComments"])
@pytest.mark.parametrize("text", SYNTHETIC)
def test_trade_names_of_synthetic_images(text, keyword, tmp_path):
    header = read_header(write_mammogram(tmp_path / "a.dcm", mammogram(**{keyword: text})))
    assert header.kind == "synthetic"
    assert header.left_out is None
    assert any(keyword in note for note in header.notes)


KINDS = [
    ({"SeriesDescription": "L CC Tomosynthesis Reconstruction"}, "tomosynthesis", "tomosynthesis"),
    ({"SeriesDescription": "DBT slices L MLO"}, "tomosynthesis", "tomosynthesis"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS"]}, "tomosynthesis", "tomosynthesis"),
    ({"SeriesDescription": "CESM recombined L CC"}, "cesm_subtracted", "subtracted"),
    ({"SeriesDescription": "L CC low energy"}, "cesm_low_energy", None),
    ({"ConversionType": "DF"}, "film", None),
    ({"Manufacturer": "LUMISYS"}, "film", None),
    ({"SeriesDescription": "L CC Combo"}, "ffdm", None),
    ({"SeriesDescription": "Preview of views"}, "ffdm", None),
]


@pytest.mark.parametrize(("attributes", "kind", "left_out"), KINDS)
def test_kinds_that_image_type_does_not_tell(attributes, kind, left_out, tmp_path):
    header = read_header(write_mammogram(tmp_path / "a.dcm", mammogram(**attributes)))
    assert (header.kind, header.left_out) == (kind, left_out)


CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"SeriesDescription": "L CC C-View"}, "synthetic"),
        ({"ConversionType": "WSD"}, "ffdm"),
        ({"ConversionType": "WSD", "ImagerPixelSpacing": None}, None),
        ({"ConversionType": "DF", "ImagerPixelSpacing": None}, "film"),
        ({"NominalScannedPixelSpacing": [0.05, 0.05], "ImagerPixelSpacing": None}, "film"),
        ({"PatientID": "P_00001_LEFT_CC", "ImagerPixelSpacing": None}, "film"),
    ],
)
def test_a_secondary_capture_is_film_only_where_something_says_so(attributes, kind, tmp_path):
    dataset = mammogram(SOPClassUID=CAPTURE, **attributes)
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset))
    assert header.kind == kind
    assert header.left_out is None


def test_texts_of_a_header_are_shortened_and_printable_in_notes(tmp_path):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "X" * 16, "99", "?"
    dataset = mammogram(ViewPosition=None, ViewCodeSequence=[item])
    dataset.add_new(0x00185101, "LT", "A\nerror: forged" + "x" * 200)
    header = read_header(write_mammogram(tmp_path / "a.dcm", dataset))
    assert all("\n" not in note and len(note) < 200 for note in header.notes)
