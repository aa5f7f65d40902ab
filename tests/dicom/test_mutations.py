"""A few of the files of ``python -m benchmarks.mutations``: each is read or refused by name."""

from fourview.dicom.header import read_header
from fourview.dicom.image import read_image
from fourview.errors import DicomError
from mutated_frames import mutated_files


def test_mutated_files_of_every_syntax_are_read_or_refused(tmp_path):
    words = set()
    for name, data in mutated_files(300, seed=1):
        path = tmp_path / name
        path.write_bytes(data)
        try:
            read_header(path)
            read_image(path)
            words.add("read")
        except DicomError as error:
            words.add(type(error).__name__)
    assert words >= {"read", "DamagedPixelsError", "DamagedHeaderError"}
