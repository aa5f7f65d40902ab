"""Numbers with commas, tables whose descriptors lie, polarity that is contradicted, orientation."""

import imagecodecs
import numpy as np
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_examples import mammogram, write_mammogram
from field_looks import SPEC, are_alike, differing, notes_of
from fourview.dicom.header import read_header
from fourview.dicom.image import read_image
from fourview.dicom.numbers import read_decimal
from fourview.preprocess.pipeline import process
from fourview.report.display import show
from fourview.sources.dicom import read_dicom

DECIMALS = [
    ("1500,5", [1500.5]),
    ("-0,07", [-0.07]),
    (",5", [0.5]),
    ("1,5E+03", [1500.0]),
    ("1.500,5", [1500.5]),
    ("1,500.5", [1500.5]),
    ("0.07,0.07", [0.07, 0.07]),
    ("0,07 0,07", [0.07, 0.07]),
    ("0.07;0.08", [0.07, 0.08]),
    ("1500.5", [1500.5]),
    ("abc", None),
    ("1,2,3", None),
    ("12 34", None),
    ("\u0661\u0662", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "values"), DECIMALS)
def test_decimals_as_people_write_them(text, values):
    assert read_decimal(text) == values


def with_raw(mg, path, dataset, **texts):
    """A file in which decimal strings have other texts."""
    for keyword in texts:
        setattr(dataset, keyword, "1")
    data = write_mammogram(path, dataset).read_bytes()
    for keyword, text in texts.items():
        tag = tag_for_keyword(keyword)
        data = mg.with_text(data, tag >> 16, tag & 0xFFFF, text)
    path.write_bytes(data)
    return path


def test_commas_in_spacing_rescale_and_thickness(mg, tmp_path):
    dataset = mammogram(WindowCenter="1000", WindowWidth="2000")
    path = with_raw(
        mg,
        tmp_path / "a.dcm",
        dataset,
        ImagerPixelSpacing="0,0700\\0,0700",
        RescaleSlope="2,5000",
        RescaleIntercept="-1,50000",
        BodyPartThickness="55,25000",
        WindowCenter="1500,5",
    )
    image = read_image(path)
    plain = read_image(
        write_mammogram(
            tmp_path / "b.dcm",
            mammogram(ImagerPixelSpacing=[0.07, 0.07], RescaleSlope="2.5", RescaleIntercept="-1.5"),
        )
    )
    assert image.spacing_mm == (0.07, 0.07)
    assert image.metadata["thickness_mm"] == "55.25"
    np.testing.assert_array_equal(image.pixels, plain.pixels)
    for name in ("Imager Pixel Spacing", "Rescale Slope", "Rescale Intercept", "Window Center"):
        assert name in notes_of([image])


def test_a_window_that_cannot_be_read_is_told_and_not_absent(mg, tmp_path):
    dataset = mammogram(WindowCenter="1000", WindowWidth="2000")
    image = read_image(with_raw(mg, tmp_path / "a.dcm", dataset, WindowWidth="wide"))
    assert "Window Width (0028,1051) is 'wide', which is no number" in notes_of([image])


@pytest.mark.parametrize(
    ("age", "years"),
    [("055Y", 55.0), ("55,5Y", 55.5), ("55", 55.0), ("055y", 55.0), ("660M", 55.0)],
)
def test_ages_as_people_write_them(age, years, tmp_path):
    write_mammogram(tmp_path / "a.dcm", with_age(age))
    assert read_dicom(tmp_path).exams["age"].to_list() == [years]


def with_age(age):
    dataset = mammogram()
    dataset.add_new(0x00101010, "LO", age)
    return dataset


BITS = [  # told bits, highest entry, what must come out
    (16, 4095, 12),
    (16, 1023, 10),
    (12, 1023, 10),
    (12, 4095, 12),
    (16, 65535, 16),
    (16, 40000, 16),
    (8, 4095, 12),
    (12, 65535, 16),
    (12, 4200, 12),
    (0, 4095, 12),
    (32, 4095, 12),
]


def with_table(entries, descriptor):
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "US", np.asarray(entries).tolist())
    dataset = mammogram()
    dataset.VOILUTSequence = Sequence([item])
    return dataset


@pytest.mark.parametrize(("told", "highest", "bits"), BITS)
def test_bits_of_a_table_that_are_not_true(told, highest, bits, tmp_path):
    entries = np.linspace(0, highest, 4096).round().astype(int)
    path = write_mammogram(tmp_path / "a.dcm", with_table(entries, [4096, 0, told]))
    image = read_image(path)
    assert image.voi.table_bits == bits
    assert ("LUT Descriptor" in notes_of([image])) == (bits != told)


@pytest.mark.parametrize("count", [1, 100, 4000, 5000, 0])
def test_all_entries_of_a_table_are_taken_whatever_their_told_number(count, tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", with_table(np.arange(4096), [count, 0, 12]))
    image = read_image(path)
    assert len(image.voi.table) == 4096
    assert "entries" in notes_of([image])


def exam_image(mg, folder, name, change=None, **known):
    """L-MLO of the examples as a file, and the image read from it."""
    ds = mg.header(mg.picture(side="L", view="MLO"), side="L", view="MLO")
    if change is not None:
        change(ds)
    path = mg.save(ds, folder / name)
    return read_image(path, **known)


def stored_of(ds):
    return np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns)


def inverted(mg, ds):
    mg.put(ds, (4095 - stored_of(ds)).astype(np.uint16))


POLARITIES = [  # pixels inverted, Photometric Interpretation, Presentation LUT Shape, has a note
    (False, "MONOCHROME2", None, False),
    (False, "MONOCHROME2", "IDENTITY", False),
    (True, "MONOCHROME1", None, False),
    (True, "MONOCHROME1", "INVERSE", False),
    (True, "MONOCHROME2", "INVERSE", True),
    (False, "MONOCHROME2", "INVERSE", True),
    (True, "MONOCHROME1", "IDENTITY", True),
    (False, "MONOCHROME1", "IDENTITY", True),
    (True, "MONOCHROME2", None, True),
    (False, "MONOCHROME1", None, True),
    (False, "", None, True),
    (True, "", "INVERSE", True),
]


@pytest.mark.parametrize(("turned", "photometric", "shape", "told"), POLARITIES)
def test_the_air_tells_which_polarity_is_right(turned, photometric, shape, told, mg, tmp_path):
    def change(ds):
        ds.PhotometricInterpretation = photometric
        if shape:
            ds.PresentationLUTShape = shape
        if turned:
            inverted(mg, ds)

    plain = exam_image(mg, tmp_path, "plain.dcm")
    odd = exam_image(mg, tmp_path, "odd.dcm", change)
    assert are_alike(odd, plain)
    assert ("Photometric Interpretation" in notes_of([odd])) == told


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_table_that_falls_turns_the_scale_once(photometric, mg, tmp_path):
    def change(ds):
        ds.PhotometricInterpretation = photometric
        inverted(mg, ds)
        item = Dataset()
        item.add_new(0x00283002, "US", [4096, 0, 12])
        item.add_new(0x00283006, "US", list(range(4095, -1, -1)))
        ds.VOILUTSequence = Sequence([item])
        del ds.WindowCenter, ds.WindowWidth

    plain = exam_image(mg, tmp_path, "plain.dcm")
    assert are_alike(exam_image(mg, tmp_path, "odd.dcm", change), plain)


def test_a_breast_that_fills_the_image_keeps_what_the_header_says(mg, tmp_path):
    def change(ds):
        ramp = np.add.outer(np.arange(640), 2 * np.arange(512))
        mg.put(ds, (1000 + ramp).astype(np.uint16))
        ds.PhotometricInterpretation = "MONOCHROME1"

    assert not exam_image(mg, tmp_path, "a.dcm", change).bright_is_dense


OPPOSITE = str.maketrans("APHFLR", "PAFHRL")
WAYS = [(t, v, h) for t in (False, True) for v in (False, True) for h in (False, True)]


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize(("exchanged", "upside", "mirrored"), WAYS)
def test_eight_ways_to_store_a_view(exchanged, upside, mirrored, view, side, mg, tmp_path):
    pixels = mg.picture(side=side, view=view)
    ds = mg.header(pixels, side=side, view=view)
    plain = read_image(mg.save(ds, tmp_path / "plain.dcm"))
    across, down = ds.PatientOrientation
    if upside:
        pixels, down = pixels[::-1], down.translate(OPPOSITE)
    if mirrored:
        pixels, across = pixels[:, ::-1], across.translate(OPPOSITE)
    if exchanged:
        pixels, across, down = pixels.T, down, across
    mg.put(ds, np.ascontiguousarray(pixels))
    ds.PatientOrientation = [across, down]
    odd = read_image(mg.save(ds, tmp_path / "odd.dcm"))
    assert are_alike(odd, plain)
    assert ("upright" in notes_of([odd])) == (exchanged or upside)
    np.testing.assert_array_equal(odd.pixels, pixels)  # the file's own
    leads_back(odd, plain, exchanged, upside, mirrored)


def leads_back(odd, plain, exchanged, upside, mirrored):
    """A point of the processed image is the same tissue in both files."""
    point = np.array([60.0, 150.0])
    x, y = process(plain, SPEC).geometry.to_stored(point)
    rows, cols = plain.stored_size
    x, y = (cols - x if mirrored else x), (rows - y if upside else y)
    want = (y, x) if exchanged else (x, y)
    geometry = process(odd, SPEC).geometry
    assert geometry.stored_size == odd.stored_size
    np.testing.assert_allclose(geometry.to_stored(point), want, atol=2)
    np.testing.assert_allclose(geometry.to_processed(geometry.to_stored(point)), point, atol=1e-6)


def test_an_upside_down_jpeg_2000_is_halved_and_turned(mg, tmp_path):
    pixels = mg.picture(2560, 2048, view="MLO")[::-1].copy()
    ds = mg.header(pixels, view="MLO", mm=0.09)
    plain = read_image(mg.save(ds, tmp_path / "wrong.dcm"))
    ds.PatientOrientation = ["A", "HL"]
    frame = imagecodecs.jpeg2k_encode(
        pixels, codecformat="j2k", reversible=True, bitspersample=12, level=0
    )
    mg.put_encoded(ds, frame, mg.JPEG_2000)
    small = read_image(mg.save(ds, tmp_path / "a.dcm"), at_least=(600, 400))
    assert small.pixels.shape == (640, 512)
    mg.put(ds, pixels)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds["PixelData"].is_undefined_length = False
    full = read_image(mg.save(ds, tmp_path / "b.dcm"))
    assert differing(small, full) <= 0.02
    assert differing(small, plain) > 0.05
    point = np.array([60.0, 150.0])
    both = [process(image, SPEC).geometry.to_stored(point) for image in (small, full)]
    np.testing.assert_allclose(both[0], both[1], atol=6)  # the crop is found on fewer pixels


def test_an_orientation_that_the_pixels_refute_is_not_followed(mg, tmp_path):
    ds = mg.header(mg.picture(view="MLO"), view="MLO")
    plain = read_image(mg.save(ds, tmp_path / "plain.dcm"))
    ds.PatientOrientation = ["P", "HL"]  # the chest wall is on the left, as of A
    odd = read_image(mg.save(ds, tmp_path / "odd.dcm"))
    assert are_alike(odd, plain)
    assert any("not true" in note for note in process(odd, SPEC).notes)


def test_the_report_shows_an_image_upright_and_keeps_stored_coordinates(mg, tmp_path):
    ds = mg.header(mg.picture(view="MLO")[::-1].copy(), view="MLO")
    ds.PatientOrientation = ["A", "HL"]
    shown = show(read_image(mg.save(ds, tmp_path / "a.dcm")))
    x, y = shown.geometry.to_stored(np.array([10.0, 20.0]))
    assert (x, y) == (10.0, 620.0)


@pytest.mark.parametrize(
    "words", [["A"], ["A", ""], ["X", "Y"], ["H", "F"], ["A", "P"], ["A", "R"]]
)
def test_orientations_that_say_nothing_of_an_oblique_view_turn_nothing(words, mg, tmp_path):
    ds = mg.header(mg.picture(view="MLO"), view="MLO")
    ds.PatientOrientation = words
    image = read_image(mg.save(ds, tmp_path / "a.dcm"))
    assert image.turn is None or not image.turn.moves_pixels
    assert read_header(tmp_path / "a.dcm").view.name == "L-MLO"


@pytest.mark.parametrize("limit", [4095, 4000])
def test_padding_that_is_all_of_the_image_is_not_believed(limit, mg, tmp_path):
    ds = mg.header(mg.picture())
    ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = 0, limit
    ds["PixelPaddingValue"].VR = ds["PixelPaddingRangeLimit"].VR = "US"
    image = read_image(mg.save(ds, tmp_path / "a.dcm"))
    assert image.padding is None
    assert "padding" in notes_of([image])
