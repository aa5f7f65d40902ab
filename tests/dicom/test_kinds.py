"""How an image was made, from whatever attribute tells."""

import pytest

from fourview.dicom.codes import MG_PRESENTATION
from fourview.dicom.kinds import find_kind, names_a_digitiser

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def kind(*image_type, sop_class=MG_PRESENTATION, texts=(), is_scanned=False):
    told = find_kind(
        sop_class=sop_class, image_type=image_type, texts=tuple(texts), is_scanned=is_scanned
    )
    return None if told is None else (told.kind, told.source)


@pytest.mark.parametrize(
    ("image_type", "want"),
    [
        (("ORIGINAL", "PRIMARY"), ("ffdm", "SOPClassUID")),
        (("DERIVED", "PRIMARY", "GENERATED_2D"), ("synthetic", "ImageType")),
        (("DERIVED", "PRIMARY", "TOMO_2D"), ("synthetic", "ImageType")),
        (("DERIVED", "PRIMARY", "LOW_ENERGY"), ("cesm_low_energy", "ImageType")),
        (("DERIVED", "PRIMARY", "RECOMBINED"), ("cesm_subtracted", "ImageType")),
        (("DERIVED", "PRIMARY", "TOMO_SLICE"), ("tomosynthesis", "ImageType")),
    ],
)
def test_image_type_tells(image_type, want):
    assert kind(*image_type) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("R CC C-View", "synthetic"),
        ("L MLO Insight 2D", "synthetic"),
        ("V-Preview", "synthetic"),
        ("MAMMO DBT slice", "tomosynthesis"),
        ("CESM LE", "cesm_low_energy"),
        ("R-CC subtracted", "cesm_subtracted"),
        ("tomosynthesis", "ffdm"),  # of a study that has some, too
        ("overview", "ffdm"),
        ("SYNTHESIS of findings", "ffdm"),
    ],
)
def test_words_and_trade_names_tell(text, want):
    assert kind("ORIGINAL", texts=[("SeriesDescription", text)])[0] == want


def test_the_first_text_that_tells_is_named():
    texts = [("SeriesDescription", "R CC"), ("ProtocolName", "C-View")]
    assert kind(texts=texts) == ("synthetic", "ProtocolName")


def test_a_capture_is_film_only_where_a_scanner_is_named():
    assert kind(sop_class=CAPTURE) is None
    assert kind(sop_class=CAPTURE, is_scanned=True) == ("film", "")
    assert names_a_digitiser(b"LUMISYS") and names_a_digitiser(b"x", b"Film Digitizer 12")
    assert not names_a_digitiser(b"FILMORE", b"")
