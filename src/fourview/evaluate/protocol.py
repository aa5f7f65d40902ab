"""What decides how a result is measured: a protocol, and its rule for marks."""

from dataclasses import asdict, dataclass
from typing import Literal

from fourview.evaluate.interval import Method
from fourview.evaluate.labels import Keep, Unit
from fourview.fingerprint import fingerprint_of

Cluster = Literal["image", "breast", "exam", "patient", "finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrocRule:
    """When a mark (a scored box) finds a finding, and over which images marks are counted.

    Attributes:
        overlap: ``iom`` intersection over the smaller area, of boxes; ``iom_outline`` the same with
            the finding's outline, where it has one; ``iou`` over the union, of boxes.
        at_least: Overlap from which a mark is a hit.
        targets: Kinds of finding that are to be found: malignant ones, or all known.
        images: ``all``; or ``true_positives``: positive images whose own score reaches
            ``image_sensitivity`` over all images, as Cls-Det-RS restricts its curve.
        recall_of: What the vertical axis counts: boxes of findings, or images with one hit or more.
        image_sensitivity: Where ``true_positives`` cuts.
    """

    overlap: Literal["iom", "iom_outline", "iou"] = "iou"
    at_least: float = 0.1
    targets: Literal["malignant", "any"] = "malignant"
    images: Literal["all", "true_positives"] = "all"
    recall_of: Literal["finding", "image"] = "finding"
    image_sensitivity: float = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a result is measured.

    Attributes:
        name: With its version: ``screening-breast-v1``.
        title: In words.
        unit: What is scored and counted.
        label: Name of a rule in ``labels.RULES``.
        classes: Classes of the predictions; a single one is a yes-or-no question.
        combine: ``max`` takes the largest of the classes' scores as the score; ``either`` the
            probability of one or more of them, 1 - (1 - p1)(1 - p2), if they are independent.
        aggregate: How a breast's score comes from its images where the table has no breasts:
            ``views`` mean within each of CC and MLO, then over both; ``first_of_view`` the first
            row of each of CC and MLO, then their mean; ``images`` mean over all its images;
            ``highest`` the largest of its images, also where the table has breasts.
        metrics: Names, see ``docs/protocols.md``.
        cluster: What a bootstrap replicate draws.
        interval: How replicates become an interval.
        stream: Random stream, see ``resample.Resampling``.
        center: ``mean`` reports the mean of the replicates instead of the table's own value.
        threshold: Where the yes begins: ``given`` from another table; ``argmax`` the class with the
            highest score; ``none`` for protocols without one.
        operating_points: Rules by which thresholds for *other* tables are chosen on this one.
        keep: Images left out by the protocol's own rule.
        split: Which split of the manifest is measured, where it has any.
        froc: How marks are scored; None for none.
        source: Where the rules are from.
        remarks: Where we had to choose.
    """

    name: str
    title: str
    unit: Unit
    label: str
    classes: tuple[str, ...] = ("cancer",)
    combine: Literal["none", "max", "either"] = "none"
    aggregate: Literal["views", "first_of_view", "images", "highest"] = "views"
    metrics: tuple[str, ...]
    cluster: Cluster = "patient"
    interval: Method = "percentile"
    stream: Literal["counter", "metarepo"] = "counter"
    center: Literal["table", "mean"] = "table"
    threshold: Literal["given", "argmax", "none"] = "none"
    operating_points: tuple[str, ...] = ()
    keep: Keep = "all"
    split: str | None = "test"
    froc: FrocRule | None = None
    source: str
    remarks: str = ""

    @property
    def is_binary(self) -> bool:
        """Whether there is one score per unit."""
        return len(self.classes) == 1 or self.combine != "none"

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides numbers (not of title, source and remarks)."""
        data = asdict(self)
        for words in ("title", "source", "remarks"):
            del data[words]
        return fingerprint_of(data | {"stratified": False})  # as before, when it could be True
