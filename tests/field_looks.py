"""What tests of odd files compare: whole exams, and whether two pictures are alike."""

import numpy as np

from fourview.dicom.exams import read_exams
from fourview.dicom.image import read_image
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import pixel_spec

SPEC = pixel_spec("mvccl-384x192")
FOUR = ("R-CC", "L-CC", "R-MLO", "L-MLO")


def one_exam(paths, **options):
    """The one exam below a path; nothing may be left out."""
    exams = read_exams(paths, **options)
    assert len(exams) == 1, [(e.exam_id, e.left_out) for e in exams]
    assert not exams[0].left_out
    return exams[0]


def notes_of(images):
    return "\n".join(note for image in images for note in image.notes)


def differing(one, other, spec=SPEC):
    """Part of the breast's pixels that differ by more than 0.02 after processing."""
    ours, theirs = (process(image, spec) for image in (one, other))
    breast = ours.mask | theirs.mask
    return float((np.abs(ours.pixels - theirs.pixels) > 0.02)[breast].mean())


def are_alike(one, other, spec=SPEC):
    return differing(one, other, spec) <= 0.02


def read_both(folder, name="L-CC.dcm"):
    return read_image(folder / "case" / name), read_image(folder / "plain" / name)
