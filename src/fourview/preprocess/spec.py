"""PixelSpec: the named, hashed contract of what models see."""

from dataclasses import dataclass, fields
from typing import Literal

from fourview.errors import PixelError
from fourview.fingerprint import fingerprint_of
from fourview.outside import find_outside, outside

REVISION = 1  # raised when the same spec would give other pixels than before


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSpec:
    """What is done to every image, by name. Frozen: another value is another fingerprint.

    Attributes:
        name: Such as mvccl-1536x768.
        rows: Height of the processed image; None keeps the native resolution.
        cols: Width of the processed image; None keeps the native resolution.
        voi: The header's window or table where there is one, ignore it, or ask the user's.
        range: What becomes 0 and 1: the window, each image's own extremes, or the stored bits.
        crop: To the breast's box, or not at all.
        pad_to_aspect: Pad (air side; below for MLO, evenly above and below for CC) to rows:cols
            before resizing, so that nothing is squeezed.
        align_ap: Turn MLO views so that the pectoral line is vertical, and cut there: columns are
            depths in front of the chest wall in every view. Padding is then always below.
        ap_line: How the pectoral line is looked for: ``oriented`` is the more accurate, ``plain``
            the Hough transform that GLAM publishes. See ``preprocess.pectoral``.
        ap_fallback_degrees: Turn of an MLO in which no line is found; 0 leaves it as it is.
        layout: How the frame is laid: around the breast (fit), or as the NYU classifiers' window
            at native resolution, on the breast alone (nyu) or on the file's pixels with the
            off-by-one of mirrored views (nyu_parity). See ``preprocess.nyu``. Or the breast's box
            in 8 bits as it hangs, stretched to the frame or in a square: ``preprocess.whole_box``.
        cc_rows: Height of the NYU window of views from above, where it is not ``rows``; what is
            below it in the frame is 0.
        mlo_cols: Width of the NYU window of all other views, where it is not ``cols``.
        mm_per_px: Side of a processed pixel. Where the spacing is known every image gets this one
            scale (a breast that is too large gets a smaller one); None scales each to the frame.
        one_scale_of: Where ``mm_per_px`` is None: each ``image`` is scaled to the frame by itself,
            or all CC and MLO images of a ``breast`` by the one scale at which the largest fills it
            (``store.breast_scale``), so that a column is the same depth in both views.
        decode: How fine a file is decoded: to twice the processed size, or to the processed size
            and finer only for a breast that then turns out to be smaller than it becomes.
    """

    name: str
    rows: int | None
    cols: int | None
    voi: Literal["header", "ignore", "user"] = "header"
    range: Literal["window", "min_max", "bits"] = "window"
    crop: Literal["breast", "none"] = "breast"
    pad_to_aspect: bool = True
    align_ap: bool = False
    ap_line: Literal["oriented", "plain"] = "oriented"
    ap_fallback_degrees: float = 0.0
    layout: Literal["fit", "nyu", "nyu_parity", "stretched", "square"] = "fit"
    cc_rows: int | None = None
    mlo_cols: int | None = None
    mm_per_px: float | None = None
    one_scale_of: Literal["image", "breast"] = "image"
    decode: Literal["twice", "as_needed"] = "twice"

    @property
    def enough(self) -> tuple[int, int] | None:
        """Rows and columns that a file may be decoded to; None asks for all it has.

        A breast fills at least half of most images' height and width, so twice the processed size
        leaves it no smaller than it becomes. Right for all but the smallest breasts, without
        looking; ``store.read_image.read_processed`` looks, where ``decode`` is as_needed.
        """
        if self.rows is None or self.cols is None or self.layout != "fit":
            return None
        return 2 * self.rows, 2 * self.cols

    @property
    def at_first(self) -> tuple[int, int] | None:
        """Rows and columns that a file is decoded to before anyone knows how large its breast is.

        Whoever takes this must look afterwards, as ``store.read_image.read_processed`` does.
        """
        if self.decode == "twice" or self.enough is None or self.rows is None or self.cols is None:
            return self.enough
        return self.rows, self.cols

    @property
    def fingerprint(self) -> str:
        """Hash of the code's revision and every field; travels with pixels and weights.

        Fields at their defaults do not count, so that a new field leaves old fingerprints alone.
        """
        values = ((f, getattr(self, f.name)) for f in fields(self))
        changed = {f.name: value for f, value in values if value != f.default}
        return fingerprint_of({"revision": REVISION, **changed})


SPECS: dict[str, PixelSpec] = {
    spec.name: spec
    for spec in (
        PixelSpec(name="mvccl-1536x768", rows=1536, cols=768),
        PixelSpec(name="mvccl-512x256", rows=512, cols=256),
        PixelSpec(name="mvccl-384x192", rows=384, cols=192),
        PixelSpec(name="mvccl-192x96", rows=192, cols=96),
        PixelSpec(name="vlp-518", rows=518, cols=518, decode="as_needed"),
        PixelSpec(
            name="vlp-518-stretched",  # as MaMA's public code: the breast's box becomes a square
            rows=518,
            cols=518,
            pad_to_aspect=False,
            decode="as_needed",
        ),
        PixelSpec(
            name="glam-518",  # half a millimetre: 259 mm, more than nearly all breasts
            rows=518,
            cols=518,
            align_ap=True,
            mm_per_px=0.5,
            decode="as_needed",
        ),
        PixelSpec(
            name="glam-518-filled",  # as large as both views of a breast fit
            rows=518,
            cols=518,
            align_ap=True,
            one_scale_of="breast",
            decode="as_needed",
        ),
        PixelSpec(
            name="glam-756x378",  # the same, twice as tall as wide, as breasts are
            rows=756,
            cols=378,
            align_ap=True,
            one_scale_of="breast",
            decode="as_needed",
        ),
        PixelSpec(name="glam-108x54", rows=108, cols=54, align_ap=True, one_scale_of="breast"),
        PixelSpec(
            name="glam-518-stretched",  # as the public code: column j is a fraction of the depth
            rows=518,
            cols=518,
            align_ap=True,
            pad_to_aspect=False,
            decode="as_needed",
        ),
        PixelSpec(
            name="glam-518-published",  # and its Hough transform, and its angle where that fails
            rows=518,
            cols=518,
            align_ap=True,
            ap_line="plain",
            ap_fallback_degrees=18.0,
            pad_to_aspect=False,
            decode="as_needed",
        ),
        PixelSpec(name="vlp-96x48", rows=96, cols=48, mm_per_px=2.4),  # small, for phantoms
        PixelSpec(name="glam-96x48", rows=96, cols=48, align_ap=True, mm_per_px=2.4),
        PixelSpec(name="glam-192x96", rows=192, cols=96, align_ap=True, mm_per_px=1.2),
        PixelSpec(name="clsdet-native", rows=None, cols=None, pad_to_aspect=False),
        PixelSpec(
            name="nyu-2944x1920",  # the NYU data are unwindowed; its networks standardise
            rows=2944,
            cols=1920,
            voi="ignore",
            range="bits",
            layout="nyu",
        ),
        PixelSpec(
            name="nyu-2944x1920-parity",
            rows=2944,
            cols=1920,
            voi="ignore",
            range="bits",
            layout="nyu_parity",
        ),
        PixelSpec(
            name="dmv-2974x1942",  # holds CC, 2677 x 1942, and MLO, 2974 x 1748
            rows=2974,
            cols=1942,
            voi="ignore",
            range="bits",
            layout="nyu",
            cc_rows=2677,
            mlo_cols=1748,
        ),
        PixelSpec(
            name="dmv-2974x1942-parity",
            rows=2974,
            cols=1942,
            voi="ignore",
            range="bits",
            layout="nyu_parity",
            cc_rows=2677,
            mlo_cols=1748,
        ),
        PixelSpec(
            name="frcnn-2145x1737",  # the whole image: its longer and shorter side at most these
            rows=2145,
            cols=1737,
            crop="none",
        ),
        PixelSpec(
            name="end2end-1152x896",  # the public containers stretch the whole image, unwindowed
            rows=1152,
            cols=896,
            voi="ignore",
            range="min_max",
            crop="none",
            pad_to_aspect=False,
        ),
        PixelSpec(
            name="mammoclip-1520x912",  # the breast is stretched; its network saw it so
            rows=1520,
            cols=912,
            voi="ignore",
            range="min_max",
            pad_to_aspect=False,
        ),
        PixelSpec(name="mammoscreen-2048x1024", rows=2048, cols=1024, layout="stretched"),
        PixelSpec(name="mammoscreen-1920x1280", rows=1920, cols=1280, layout="stretched"),
        PixelSpec(name="mammoscreen-1536x1536", rows=1536, cols=1536, layout="square"),
    )
}


ALIASES: dict[str, str] = {  # short names; stores, checkpoints and reports carry the full one
    "dmv": "dmv-2974x1942",
    "frcnn": "frcnn-2145x1737",
    "lesion-native": "nyu-2944x1920",  # whose pixels are the file's: windows are cut from them
}


def spec_names() -> list[str]:
    """All pixel specs there are, and the short names; sorted."""
    return sorted({*SPECS, *ALIASES, *(each.name for each in outside("specs"))})


def pixel_spec(name: str) -> PixelSpec:
    """The spec of that name, or of that short name.

    Raises:
        PixelError: There is none; the message lists those there are.
        ModuleError: A module outside of the package has it, and cannot be used.
    """
    full = ALIASES.get(name, name)
    from_outside = find_outside(
        "specs", full, {*SPECS, *ALIASES}, what="pixel spec", error=PixelError, of=PixelSpec
    )
    return SPECS[full] if from_outside is None else from_outside.thing
