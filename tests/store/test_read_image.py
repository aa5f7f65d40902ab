"""Reading an exam and preparing a data set give a model the same pixels, bit for bit."""

import cv2
import numpy as np
import pytest

from dicom_examples import J2K_LOSSLESS, mammogram, write_mammogram
from fourview.dicom.exams import read_exams
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.preprocess.spec import pixel_spec
from fourview.sources.dicom import read_dicom
from fourview.store.prepare import prepare
from fourview.store.read_image import process_as_prepared
from fourview.store.store import Store
from mammogram_examples import breast_pixels

SPECS = ("vlp-518", "glam-518", "mvccl-192x96")
SIZE = (1040, 1040)


@pytest.fixture(scope="module")
def wavelets(tmp_path_factory):
    """Two JPEG 2000 files: a breast that fills the image, and one that fills a third of it."""
    root = tmp_path_factory.mktemp("wavelets")
    whole = breast_pixels(*SIZE, side="R", noise=2)[0]
    small = np.zeros_like(whole)
    third = cv2.resize(whole, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    small[: third.shape[0], -third.shape[1] :] = third
    for number, stored in enumerate((whole, small)):
        dataset = mammogram(number, side="R")
        write_mammogram(root / f"{number}.dcm", dataset, stored=stored, syntax=J2K_LOSSLESS)
    return root


@pytest.mark.parametrize("name", SPECS)
def test_an_exam_decoded_at_any_size_gives_the_pixels_of_the_store(wavelets, tmp_path, name):
    spec = pixel_spec(name)
    assert prepare(read_dicom(wavelets), spec, tmp_path / "store").num_stored == 2
    store = Store.open(tmp_path / "store")
    sizes = set()
    for at_least in (None, (260, 260)):
        (exam,) = read_exams(wavelets, at_least=at_least)
        assert len(exam.images) == 2
        for image in exam.images:
            sizes.add(image.pixels.shape)
            done = process_as_prepared(image, spec)
            levels = store.read(image.image_id)
            np.testing.assert_array_equal(to_pixel_levels(done.pixels), levels)
            assert done.geometry == store.geometry(image.image_id)
    assert sizes == {SIZE, (260, 260)}
