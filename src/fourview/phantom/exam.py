"""Sample an exam: two breasts, four views, findings and distractors by a preset's rates."""

from fourview.phantom.preset import Preset
from fourview.phantom.truth import PhantomExam


def make_exam(
    seed: int,
    preset: str | Preset = "screening",
    *,
    vendor: str = "A",
    rows: int | None = None,
    acquisition_seed: int = 0,
    patient_id: str | None = None,
) -> PhantomExam:
    """Make one exam in memory: stored pixels of four views and their truth.

    Args:
        seed: Of the patient; the same seed gives the same breasts at every size and vendor.
        preset: Or the name of one.
        vendor: A, B or C: how values are stored and processed.
        rows: Height of the images on a field of 230 x 115 mm; None takes the preset's, and where
            that has none the vendor's own matrix.
        acquisition_seed: Another one re-rolls the noise only: a repeat exposure.
        patient_id: Default: made of the seed.

    Raises:
        PhantomError: No such preset or vendor, or rows below 64.
    """
    raise NotImplementedError
