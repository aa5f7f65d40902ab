"""Sample an exam: two breasts, four views, findings and distractors by a preset's rates."""

from fourview.entities import SIDES, Voi
from fourview.fingerprint import number_of
from fourview.phantom.anatomy import Breast, draw_breast, draw_patient
from fourview.phantom.fill import fill_breast
from fourview.phantom.film import render_film
from fourview.phantom.film_draws import SCAN_PX, FilmDraws, FilmKind, draw_film, film_kind
from fourview.phantom.lesions import (
    Contents,
)
from fourview.phantom.preset import Preset, class_of, preset_of
from fourview.phantom.render import render_view
from fourview.phantom.streams import stream
from fourview.phantom.truth import (
    POSITIONS,
    PhantomBreast,
    PhantomExam,
    PhantomImage,
    Position,
)
from fourview.phantom.vendor import Vendor, detector_of, vendor_of, voi_of

FILM_VENDOR = "film"


def make_exam(
    seed: int,
    preset: str | Preset = "screening",
    *,
    vendor: str = "A",
    rows: int | None = None,
    acquisition_seed: int = 0,
    patient_id: str | None = None,
    film: str | None = None,
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
        film: Kind of scanned film, usual or odd (``film_draws``); None for digital images. Rows
            are then those of a film of 240 mm, or 300, without what the scanner shows around it.

    Raises:
        PhantomError: No such preset, vendor or kind of film, or rows below 64.
    """
    chosen, maker = preset_of(preset), vendor_of(vendor)
    rows = chosen.rows if rows is None else rows
    detector_of(maker, rows)
    density = class_of(chosen, float(stream(seed, "density").random()))
    patient = draw_patient(seed, density)
    patient_id = f"phantom-{seed}" if patient_id is None else patient_id
    root = f"{patient_id}/{seed}/{chosen.digest}/{vendor}/{rows}/{acquisition_seed}"
    kind = None if film is None else film_kind(film)
    root += f"/{film}" if film is not None else ""
    images: dict[str, PhantomImage] = {}
    breasts = []
    for side in SIDES:
        breast = draw_breast(patient, side)
        contents = fill_breast(breast, chosen)
        breasts.append(_breast_truth(breast, contents))
        for position in POSITIONS:
            images[f"{side}-{position}"] = _image(
                breast,
                contents,
                position,
                vendor=maker,
                rows=rows,
                acquisition_seed=acquisition_seed,
                ap_jitter=chosen.ap_jitter,
                root=root,
                film=kind,
            )
    return PhantomExam(
        patient_id=patient_id,
        exam_id=uid(root),
        seed=seed,
        age=patient.age,
        density=density,
        vendor=vendor if film is None else FILM_VENDOR,
        images=tuple(images[name] for name in ("R-CC", "L-CC", "R-MLO", "L-MLO")),
        breasts=tuple(breasts),
    )


def _image(
    breast: Breast,
    contents: Contents,
    position: Position,
    *,
    vendor: Vendor,
    rows: int | None,
    acquisition_seed: int,
    ap_jitter: float,
    root: str,
    film: FilmKind | None,
) -> PhantomImage:
    """Render one view and give it its identity."""
    image_id = uid(f"{root}/{breast.side}-{position}")
    if film is not None:
        return film_image(
            breast,
            position,
            draw_film(breast.patient.seed, breast.side, position, film),
            contents=contents,
            rows=rows,
            image_id=image_id,
            acquisition_seed=acquisition_seed,
            ap_jitter=ap_jitter,
        )
    detector = detector_of(vendor, rows)
    display = vendor.display(breast.patient.seed)
    rendered = render_view(
        breast,
        position,
        contents=contents,
        detector=detector,
        vendor=vendor,
        display=display,
        acquisition_seed=acquisition_seed,
        ap_jitter=ap_jitter,
    )
    return PhantomImage(
        image_id=image_id,
        side=breast.side,
        position=position,
        pixels=rendered.pixels,
        bits=vendor.bits,
        spacing_mm=detector.px,
        photometric=vendor.photometric,
        vendor=vendor.name,
        voi=voi_of(vendor, display),
        truth=rendered.truth,
    )


def film_image(
    breast: Breast,
    position: Position,
    draws: FilmDraws,
    *,
    contents: Contents,
    rows: int | None,
    image_id: str,
    acquisition_seed: int = 0,
    ap_jitter: float = 0.0,
) -> PhantomImage:
    """One view on a scanned film; see ``film.render_film``."""
    px = SCAN_PX if rows is None else draws.film_mm[0] / rows
    done = render_film(
        breast,
        position,
        draws,
        contents=contents,
        px=px,
        acquisition_seed=acquisition_seed,
        ap_jitter=ap_jitter,
    )
    top = float(2**draws.tone.bits - 1)
    return PhantomImage(
        image_id=image_id,
        side=breast.side,
        position=position,
        pixels=done.pixels,
        bits=draws.tone.bits,
        spacing_mm=px,
        photometric="MONOCHROME2" if draws.tone.bright_is_dense else "MONOCHROME1",
        vendor=FILM_VENDOR,
        voi=Voi(function="LINEAR", center=(top + 1) / 2, width=top + 1, explanation="NORMAL"),
        truth=done.truth,
        film=done.film,
    )


def _breast_truth(breast: Breast, contents: Contents) -> PhantomBreast:
    """Labels of one breast, from what is in it."""
    cancer = any(lesion.is_malignant for lesion in contents.lesions)
    benign = any(lesion.kind in ("mass_benign", "calc_benign") for lesion in contents.lesions)
    return PhantomBreast(
        side=breast.side,
        cancer=cancer,
        pathology="cancer" if cancer else "benign" if benign else "normal",
        density=breast.patient.density,
        volumetric_density=breast.patient.volumetric_density,
        length_mm=breast.length,
    )


def uid(text: str) -> str:
    """A DICOM UID made of a text, the same each time (2.25 and 128 bits; PS3.5 B.2)."""
    return f"2.25.{number_of(text, num_bytes=16)}"
