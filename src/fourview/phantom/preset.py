"""Presets: how often what occurs, how large, how hard to see.

Rates are of a breast (or of a view, where named so) and independent of each other and of the
cancer label, so that nothing but the malignant finding itself tells the classes apart.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fourview.errors import PhantomError
from fourview.fingerprint import fingerprint_of
from fourview.phantom.truth import Density, Kind
from fourview.suggest import no_such

DEEP_MM = 35.0  # a third of the masses of `placed` lie nearer to the chest plane
SizeLaw = tuple[float, float, float, float]  # lognormal median (mm) and sd, lowest, highest (mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Biopsies:
    """Masses that a biopsy has named, whose odds depend on the rest of their breast.

    A breast is drawn with or without satellites: small dense nodes, well apart from the masses.
    They decide the odds of each mass, and nothing in or near a mass tells of them. What a mass
    looks like tells its nature most of the time: a lookalike has the other one's shape.

    Attributes:
        num_masses: Probability of no, one and two masses, a breast.
        p_satellites: Probability of satellites, a breast.
        p_malignant: Probability that a mass is malignant in a breast without satellites.
        p_malignant_beside: The same in a breast with satellites.
        p_lookalike: Probability that a benign mass is spiculated, or a malignant one smooth.
        num_satellites: Fewest and most.
        satellite_mm: Smallest and largest diameter.
        apart_mm: Least distance of a satellite's centre from a mass's, in each view.
        conspic: Contrast of satellites.
        p_malignant_deep: Probability that a mass is malignant whose centre lies less than
            ``deep_mm`` in front of the chest plane, whatever else its breast holds; None where
            place tells nothing.
        deep_mm: Of ``p_malignant_deep``; given with it.
    """

    num_masses: tuple[float, float, float] = (0.25, 0.5, 0.25)
    p_satellites: float = 0.4
    p_malignant: float = 0.15
    p_malignant_beside: float = 0.65
    p_lookalike: float = 0.25
    num_satellites: tuple[int, int] = (4, 7)
    satellite_mm: tuple[float, float] = (5.0, 7.5)
    apart_mm: float = 25.0
    conspic: float = 6.0
    p_malignant_deep: float | None = None
    deep_mm: float | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            PhantomError: A probability outside [0, 1], shares that do not sum to 1, or one of
                ``p_malignant_deep`` and ``deep_mm`` without the other.
        """
        for name in (n for n in self.__slots__ if n.startswith("p_")):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise PhantomError(f"biopsies: {name} is {value}, need 0 to 1")
        if (self.p_malignant_deep is None) != (self.deep_mm is None):
            raise PhantomError("biopsies: p_malignant_deep and deep_mm need each other; give both")
        if abs(sum(self.num_masses) - 1) > 1e-6:
            raise PhantomError(f"biopsies: num_masses {self.num_masses} do not sum to 1")

    def odds(self, *, beside_satellites: bool, depth_mm: float) -> float:
        """Probability that a mass is malignant.

        Args:
            beside_satellites: Whether its breast has satellites.
            depth_mm: From the chest plane to its centre.
        """
        if self.p_malignant_deep is not None and depth_mm < (self.deep_mm or 0.0):
            return self.p_malignant_deep
        return self.p_malignant_beside if beside_satellites else self.p_malignant


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What findings of one family look like.

    Attributes:
        diameter_mm: Smallest and largest; each finding's is drawn between.
        conspic: Contrast, as of the preset.
        spiculated: With spicules and an ill-defined rim; else smooth.
    """

    diameter_mm: tuple[float, float]
    conspic: float
    spiculated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Families:
    """One finding that CC alone shows and one that MLO alone shows, each of a family.

    In a breast with cancer both are of one family, as foci of one disease are alike; in a breast
    without they are of two. Each view's family is any of the looks with the same probability
    whatever the label, so one view says nothing of it. The two lie at depths of their own, at least
    12 mm apart where there is room, at places that do not depend on label or family: where they
    are says nothing either. What decides is whether what CC shows looks like what MLO shows.

    Attributes:
        looks: Of the families, two or more.
    """

    looks: tuple[Look, ...]

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            PhantomError: Fewer than two looks, or a size or contrast that is not above 0.
        """
        if len(self.looks) < 2:
            raise PhantomError(f"families: {len(self.looks)} looks, need two or more")
        for look in self.looks:
            low, high = look.diameter_mm
            if not (0 < low <= high and look.conspic > 0):
                raise PhantomError(
                    f"families: diameter {low} to {high} mm and conspic {look.conspic}; need sizes "
                    "in ascending order and all above 0"
                )

    @property
    def radius_mm(self) -> float:
        """Of the largest finding of any family: a place has room for it, whatever goes there."""
        return max(look.diameter_mm[1] for look in self.looks) / 2


LATER = (  # fields left out where None: older presets keep their digest
    *("biopsies", "families", "p_summation_beside"),
    *("p_malignant_deep", "deep_mm"),  # of biopsies
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Everything that decides what a sampled exam holds.

    Attributes:
        name: Goes into identifiers and file headers.
        rows: Height of the images, on a field of 230 x 115 mm; None takes each vendor's own matrix.
        densities: Probability of the density classes a to d.
        p_cancer: Probability of a malignant finding, a breast.
        cancer_kinds: How malignant findings divide among kinds; relative weights.
        p_cc_only: Probability that a finding is hidden in MLO by overlying tissue.
        p_mlo_only: The same for CC. Breasts without cancer get such tissue at the same rates.
        p_benign_mass: Probability of a benign mass, a breast.
        p_benign_calc: Probability of a benign calcification cluster, a breast.
        p_summation: Probability of a summation shadow in a view; drawn for CC and MLO apart.
        p_summation_beside: The same in a breast with a malignant finding; None for no difference,
            as nothing but a malignant finding itself should tell of the label.
        malignant_size: Diameter of malignant masses and of summation shadows.
        benign_size: Diameter of benign masses.
        conspic: Contrast of malignant findings and summation shadows; 1 is physical, and about 2
            makes up for pixels of 1.2 mm.
        conspic_benign: Contrast of benign findings.
        ap_jitter: 1 lets the AP axes of the two views disagree as in practice (scale 3 %, shift
            3 mm, one standard deviation); 0 keeps x_ap exact.
        biopsies: Masses with a biopsy, beside all that the rates above give; None for none. The
            one thing here in which a finding's label is not independent of the rest.
        families: A finding in each view, alike in both or not, in place of all that the rates
            above give but for ``p_cancer``; None for none.
    """

    name: str
    rows: int | None = None
    densities: tuple[float, float, float, float] = (0.10, 0.40, 0.40, 0.10)
    p_cancer: float
    cancer_kinds: Mapping[Kind, float] = field(default_factory=lambda: {"mass_malignant": 1.0})
    p_cc_only: float
    p_mlo_only: float
    p_benign_mass: float
    p_benign_calc: float
    p_summation: float
    malignant_size: SizeLaw = (14.0, 0.35, 6.0, 32.0)
    benign_size: SizeLaw = (12.0, 0.35, 5.0, 30.0)
    conspic: float = 1.0
    conspic_benign: float = 1.0
    ap_jitter: float = 0.0
    biopsies: Biopsies | None = None
    p_summation_beside: float | None = None
    families: Families | None = None

    def __post_init__(self) -> None:
        """Refuse rates and sizes that mean nothing.

        Raises:
            PhantomError: A probability outside [0, 1], or a size that is not above 0.
        """
        rates = {n: getattr(self, n) for n in self.__slots__ if n.startswith("p_")}
        for name, value in rates.items():
            if value is not None and not 0 <= value <= 1:
                raise PhantomError(f"preset '{self.name}': {name} is {value}, need 0 to 1")
        if self.p_cc_only + self.p_mlo_only > 1:
            raise PhantomError(f"preset '{self.name}': p_cc_only + p_mlo_only is above 1")
        if abs(sum(self.densities) - 1) > 1e-6:
            raise PhantomError(f"preset '{self.name}': densities {self.densities} do not sum to 1")
        if self.rows is not None and self.rows < 64:
            raise PhantomError(f"preset '{self.name}': rows is {self.rows}, need at least 64")
        for name in ("conspic", "conspic_benign"):
            if not getattr(self, name) > 0:
                raise PhantomError(f"preset '{self.name}': {name} must be above 0")

    @property
    def settings(self) -> dict[str, Any]:
        """All fields as plain values; without those of ``LATER`` where they are None."""
        return asdict(self, dict_factory=_without_later_nones)

    @property
    def digest(self) -> str:
        """16 hex digits that change with any field; part of every identifier."""
        return fingerprint_of(self.settings)


def _without_later_nones(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {k: v for k, v in fields if k not in LATER or v is not None}


def class_of(preset: Preset, draw: float) -> Density:
    """The density class that a uniform draw in [0, 1) falls into."""
    classes: tuple[Density, ...] = ("a", "b", "c", "d")
    total = 0.0
    for name, share in zip(classes, preset.densities, strict=True):
        total += share
        if draw < total:
            return name
    return "d"


SCREENING = Preset(
    name="screening",
    p_cancer=0.00255,  # 5.1 cancers in 1000 exams (BCSC benchmarks, 2017), one breast of two
    cancer_kinds={  # boxes of the VinDr-Mammo table: 1226, 543, 119
        "mass_malignant": 0.65,
        "calc_malignant": 0.29,
        "distortion": 0.06,
    },
    p_cc_only=0.03,  # masses marked in CC only, 3 %, and in MLO only, 14 %: VinDr-Mammo table
    p_mlo_only=0.14,
    p_benign_mass=0.08,  # with calcifications about VinDr-Mammo's 23 % of breasts in BI-RADS 2
    p_benign_calc=0.15,
    p_summation=0.007,  # 3.3 % of screens have a one-view finding, 83 % of them are summation
)  # (Sickles 1998), over four views
ENRICHED = Preset(
    name="enriched",  # screening material for demonstrations: a cancer in about half of the exams
    p_cancer=0.29,
    cancer_kinds=SCREENING.cancer_kinds,
    p_cc_only=0.03,
    p_mlo_only=0.14,
    p_benign_mass=0.2,
    p_benign_calc=0.2,
    p_summation=0.1,
)
MINIATURE = Preset(
    name="miniature",  # small pixels, many distractors: to learn from on one core
    rows=192,
    p_cancer=0.49,
    p_cc_only=0.125,
    p_mlo_only=0.125,
    p_benign_mass=0.3,
    p_benign_calc=0.0,  # nearly invisible in pixels of 1.2 mm
    p_summation=0.5,  # a star in each view at different depths is then a frequent negative
    malignant_size=(15.0, 0.25, 9.0, 24.0),
    conspic=2.2,
    conspic_benign=2.2,
)
BIOPSIED = Preset(
    name="biopsied",  # one mass per breast on average, about a third of them malignant
    rows=384,
    p_cancer=0.0,
    p_cc_only=0.0,
    p_mlo_only=0.0,
    p_benign_mass=0.0,
    p_benign_calc=0.0,
    p_summation=0.0,
    malignant_size=(13.0, 0.25, 8.0, 22.0),  # of both kinds of mass: size tells nothing
    conspic=1.8,
    biopsies=Biopsies(),
)
PLACED = replace(
    BIOPSIED,
    name="placed",  # as biopsied, but the odds depend on how deep a mass lies, and on no satellites
    biopsies=Biopsies(p_satellites=0.0, p_malignant=0.15, p_malignant_deep=0.65, deep_mm=DEEP_MM),
)
PAIRED = Preset(
    name="paired",  # a star in every view: at one depth in both it is a cancer, at two it is none
    rows=192,
    p_cancer=0.5,
    p_cc_only=0.0,
    p_mlo_only=0.0,
    p_benign_mass=0.0,  # leaves room for the stars
    p_benign_calc=0.0,
    p_summation=1.0,
    p_summation_beside=0.0,  # so the number of stars per view is the same with and without a cancer
    malignant_size=MINIATURE.malignant_size,
    conspic=MINIATURE.conspic,
)
FAMILIES = Preset(
    name="families",  # a finding in each view: of one family in a cancer, of two in none
    rows=192,
    p_cancer=0.5,
    p_cc_only=0.0,
    p_mlo_only=0.0,
    p_benign_mass=0.0,
    p_benign_calc=0.0,
    p_summation=0.0,
    families=Families(
        looks=(
            Look(diameter_mm=(16.0, 22.0), conspic=3.0, spiculated=True),
            Look(diameter_mm=(9.0, 12.0), conspic=3.6, spiculated=False),
        )
    ),
)
PLAIN = Preset(
    name="plain",  # nothing but a large clear star in half of the breasts: can it be found at all
    rows=192,
    p_cancer=0.5,
    p_cc_only=0.0,
    p_mlo_only=0.0,
    p_benign_mass=0.0,
    p_benign_calc=0.0,
    p_summation=0.0,
    malignant_size=(20.0, 0.2, 14.0, 30.0),
    conspic=3.0,
)
FAINT = replace(
    PLAIN,
    name="faint",  # the same, harder to see, and hidden in one view of half: two views tell more
    p_cc_only=0.25,
    p_mlo_only=0.25,
    conspic=1.6,
)
PRESETS: dict[str, Preset] = {
    p.name: p
    for p in (SCREENING, ENRICHED, MINIATURE, BIOPSIED, PLACED, PAIRED, FAMILIES, PLAIN, FAINT)
}


def preset_of(preset: str | Preset) -> Preset:
    """The preset itself, or the one of that name.

    Raises:
        PhantomError: There is none of that name; the message lists those there are.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise PhantomError(no_such("preset", preset, sorted(PRESETS)))
    return PRESETS[preset]
