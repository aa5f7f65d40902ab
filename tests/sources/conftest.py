"""Small files as the data sets have them."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

UID = "1.2.826.0.1.3680043.8.498.1000000001"
MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VIEW_CODES = {"CC": "399162004", "MLO": "399368009"}


def dicom_bytes(
    *,
    patient: str,
    side: str | None,
    view: str | None,
    pixels: np.ndarray,
    sop_class: str = MAMMOGRAPHY,
    uid: str = UID,
) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.StudyInstanceUID = sop_class, uid, uid
    data.Modality, data.PatientID = "MG", patient
    data.Rows, data.Columns = pixels.shape
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = bits - 1, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.ImagerPixelSpacing = [0.0941, 0.0941]
    if side:
        data.ImageLaterality = side
    if view:
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator = VIEW_CODES[view], "SCT"
        code.CodeMeaning = view
        data.ViewCodeSequence = Sequence([code])
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    out = BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.fixture
def write_dicom() -> Callable[..., None]:
    def write(path: Path, **facts) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dicom_bytes(**facts))

    return write
