"""Protocols: how a result is measured, by name.

A protocol is never edited once released: another rule is another name (``-v2``). The test
``test_protocols_are_frozen`` holds a hash of each.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

from fourview.errors import EvaluationError
from fourview.evaluate.interval import Method
from fourview.evaluate.labels import Keep, Unit
from fourview.fingerprint import fingerprint_of
from fourview.outside import find_outside, outside

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
        """Whether there is one score a unit."""
        return len(self.classes) == 1 or self.combine != "none"

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides numbers (not of title, source and remarks)."""
        data = asdict(self)
        for words in ("title", "source", "remarks"):
            del data[words]
        return fingerprint_of(data | {"stratified": False})  # as before, when it could be True


_RANKS = ("auroc", "auprc_trapezoid", "average_precision", "partial_auc")
_AT_THRESHOLD = ("balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")
_FROC_RATES = tuple(f"froc_sensitivity_at_{r}_fp" for r in ("0.25", "0.5", "1"))
_CLSDET_RATES = tuple(f"froc_sensitivity_at_{r}_fp" for r in ("0.5", "1", "2"))

_METAREPO = Protocol(
    name="metarepo-image-v1",
    title="Public meta-repository, image level",
    unit="image",
    label="cancer",
    metrics=("auroc", "auprc_trapezoid"),
    cluster="image",
    interval="metarepo",
    stream="metarepo",
    split=None,
    source="Stadnick et al. 2021, arXiv:2108.04800, and its scoring program",
    remarks="2,000 unstratified replicates of images; replicates of one class are dropped.",
)
_CLSDET = Protocol(
    name="clsdet-m-vs-bn-v1",
    title="Cls-Det-RS, malignant against benign and normal",
    unit="image",
    label="birads-m-vs-bn",
    metrics=("auroc", "partial_auc", "specificity_at_sensitivity_0.85", *_CLSDET_RATES),
    froc=FrocRule(
        overlap="iom", at_least=0.5, targets="malignant", images="true_positives", recall_of="image"
    ),
    source="Bakalo, Ben-Ari, Goldberger 2019, arXiv:1904.12319",
    remarks="The paper gives deviations over five folds; intervals here are ours, by patient. "
    "Marks on findings of unknown nature count for nothing; without biopsies (INbreast, VinDr) "
    "index --finding-nature gives a finding the nature of its BI-RADS, and the result says so.",
)
_CLSDET_MB = replace(
    _CLSDET,
    name="clsdet-mb-vs-n-v1",
    title="Cls-Det-RS, malignant and benign against normal",
    label="birads-mb-vs-n",
    classes=("cancer", "benign"),
    combine="max",
    froc=FrocRule(
        overlap="iom", at_least=0.5, targets="any", images="true_positives", recall_of="image"
    ),
)


def _outlined(protocol: Protocol) -> Protocol:
    """IoM with the outlines of findings, as the paper has it; boxes where there are none."""
    assert protocol.froc is not None
    return replace(
        protocol,
        name=protocol.name.replace("-v1", "-v2"),
        title=f"{protocol.title}; marks against outlines",
        froc=replace(protocol.froc, overlap="iom_outline"),
    )


def _without_3(protocol: Protocol) -> Protocol:
    """The paper's own set: images of BI-RADS 3 are left out, and marks count against outlines."""
    return replace(
        _outlined(protocol),
        name=protocol.name.replace("-v1", "-without-3-v1"),
        title=f"{protocol.title}; without BI-RADS 3",
        label=f"{protocol.label}-without-3",
        remarks="The paper leaves out images of BI-RADS 3 (index --finding-nature birads-without-3 "
        f"leaves such findings unknown). {protocol.remarks}",
    )


def _by_breast(protocol: Protocol) -> Protocol:
    return replace(
        protocol,
        name=protocol.name.replace("-v1", "-breast-v1"),
        title=f"{protocol.title}; by breast, the highest of its views",
        unit="breast",
        aggregate="highest",
        metrics=tuple(m for m in protocol.metrics if m not in _CLSDET_RATES),
        froc=None,
        remarks="The highest of a breast's images, also where the table has breasts of its own. "
        "Intervals are ours, by patient.",
    )


_EMBED = Protocol(
    name="embed-birads7-v1",
    title="EMBED, BI-RADS in seven classes",
    unit="image",
    label="birads-0-6",
    classes=tuple(f"birads-{c}" for c in range(7)),
    metrics=("balanced_accuracy", "macro_auroc"),
    threshold="argmax",
    source="Du, Onofrey, Dvornek 2025 (MaMA), arXiv:2409.18119, Table 1",
    remarks="The paper has no intervals; ours are by patient.",
)
_EMBED_DENSITY = replace(
    _EMBED,
    name="embed-density-v1",
    title="EMBED, density",
    label="density",
    classes=("A", "B", "C", "D"),
    source="Du, Onofrey, Dvornek 2025 (MaMA), Table 2",
)


_LESION = Protocol(
    name="lesion-biopsy-v1",
    title="Biopsied lesions, malignant against benign",
    unit="finding",
    label="malignant",
    metrics=("auroc", *(f"tnr_at_fnr_{f}" for f in ("0", "0.01", "0.02", "0.03", "0.05"))),
    source="Wu et al. 2020, Tables 2 and 3",
    remarks="A finding has the mean of the images that show it; the paper counts each of them, as "
    "lesion-biopsy-image-v1 does. Resampled by patient.",
)


def _sample(protocol: Protocol) -> Protocol:
    """On a tenth of each class's test images, as the paper; all of BI-RADS 5 and 6."""
    stem, version = protocol.name.rsplit("-", 1)
    return replace(
        protocol,
        name=f"{stem}-sample-{version}",
        title=f"{protocol.title}; a tenth of each class",
        keep="density_sample" if protocol.label == "density" else "birads_sample",
        remarks="The paper's list is not published: ours is drawn by a hash of the image ids. "
        + protocol.remarks,
    )


def _pairs(protocol: Protocol) -> Protocol:
    """On a tenth of each class's breasts with both views, CC and MLO: what averaging can be of."""
    stem, version = protocol.name.replace("-screening", "").rsplit("-", 1)
    return replace(
        protocol,
        name=f"{stem}-pairs-{version}",
        title=f"{protocol.title}; a tenth of each class's breasts with both views",
        keep="density_pairs" if protocol.label == "density" else "birads_pairs",
        source=f"{_GLAM}, Table 4 (7,676 paired mammograms)",
        remarks="The paper's list is not published, and whether it counts images or pairs is "
        "unstated: ours is drawn by a hash of the breasts' ids. " + protocol.remarks,
    )


_GLAM = "Du, Chen, Dvornek 2025 (GLAM)"
_EMBED_SCREENING = replace(
    _EMBED,
    name="embed-birads3-v1",
    title="EMBED screening, BI-RADS in three classes",
    label="birads-0-2",
    classes=tuple(f"birads-{c}" for c in range(3)),
    keep="standard_screening_views",
    source=f"{_GLAM}, Table 1",
)
_EMBED_SCREENING_DENSITY = replace(
    _EMBED_DENSITY,
    name="embed-density-screening-v1",
    title="EMBED screening, density",
    keep="standard_screening_views",
    source=f"{_GLAM}, Table 2",
)
_RSNA = Protocol(
    name="rsna-cancer-v1",
    title="RSNA, cancer, by image",
    unit="image",
    label="cancer",
    metrics=(
        *("auroc", "average_precision", *_AT_THRESHOLD, "probabilistic_f1"),
        "specificity_near_sensitivity_0.80",
    ),
    threshold="argmax",
    source="Du, Onofrey, Dvornek 2025 (MaMA), Table 3; Du, Chen, Dvornek 2025 (GLAM), Table 3",
    remarks="Yes is a score above 0.5, the argmax of two classes. The papers have no intervals.",
)

_SINGLE = (
    _METAREPO,
    replace(
        _METAREPO,
        name="metarepo-breast-v1",
        title="Public meta-repository, breast level",
        unit="breast",
        aggregate="first_of_view",
        cluster="breast",
        remarks="Vector order: all left breasts, then all right ones. "
        "Replicates are of breasts: the two breasts of a woman are taken as independent.",
    ),
    replace(
        _METAREPO,
        name="admani-image-v1",
        title="ADMANI, image level",
        metrics=("auroc", "auprc_trapezoid"),
        interval="percentile",
        stream="counter",
        center="mean",
        split="test",
        source="Chen et al. 2022 (BRAIxMVCCL), Table 1",
        remarks="Reports the mean of 2,000 replicates of images; each image as the main view.",
    ),
    *(
        made
        for protocol in (_CLSDET, _CLSDET_MB)
        for made in (
            protocol,
            _outlined(protocol),
            _without_3(protocol),
            _by_breast(protocol),
            _by_breast(_without_3(protocol)),
        )
    ),
    replace(
        _without_3(_CLSDET_MB),
        name="clsdet-normal-v1",
        title="Cls-Det-RS, p(normal) = (1 - p(malignant))(1 - p(benign)); without BI-RADS 3",
        combine="either",
        remarks="The score is 1 - p(normal), so that findings of either kind are positive; its AUC "
        f"is that of p(normal) for normal images. {_CLSDET.remarks}",
    ),
    _LESION,
    replace(
        _LESION,
        name="lesion-biopsy-image-v1",
        title="Biopsied lesions on each image that shows them, malignant against benign",
        unit="finding_image",
        remarks="The paper's unit: a finding in two views counts twice (its 600 test lesions). "
        "Resampled by patient; how the paper made its intervals is unstated.",
    ),
    _EMBED,
    _EMBED_SCREENING,
    _EMBED_DENSITY,
    *(_sample(p) for p in (_EMBED, _EMBED_DENSITY)),
    _EMBED_SCREENING_DENSITY,
    *(_pairs(p) for p in (_EMBED_SCREENING, _EMBED_SCREENING_DENSITY)),
    replace(
        _EMBED,
        name="vindr-birads-v1",
        title="VinDr-Mammo, BI-RADS",
        label="birads-1-5",
        classes=tuple(f"birads-{c}" for c in range(1, 6)),
        source=f"{_GLAM}, Table 3; the data set's own test split",
    ),
    replace(
        _EMBED,
        name="vindr-density-v1",
        title="VinDr-Mammo, density",
        label="density",
        classes=("A", "B", "C", "D"),
        source=f"{_GLAM}, Table 3; the data set's own test split",
    ),
    _RSNA,
    Protocol(
        name="screening-breast-v1",
        title="Screening, by breast (recommended)",
        unit="breast",
        label="cancer",
        metrics=(
            *_RANKS,
            *("specificity_at_sensitivity_0.80", "specificity_at_sensitivity_0.90"),
            *("tnr_at_fnr_0", "tnr_at_fnr_0.01", "tnr_at_fnr_0.02", "tnr_at_fnr_0.05"),
            *("brier", "calibration_error", "probabilistic_f1"),
            *_AT_THRESHOLD,
            *("recall_rate_per_1000", "cancers_found_per_1000"),
            *_FROC_RATES,
            "localisation_recall",
        ),
        threshold="given",
        operating_points=("sensitivity-0.80", "sensitivity-0.90", "specificity-0.90"),
        froc=FrocRule(),
        source="this project",
        remarks="Replicates are of patients: all exams and both breasts of a woman together.",
    ),
)


def _multiview(protocol: Protocol) -> Protocol:
    """The mean of the class scores over all images of a breast, measured by breast."""
    stem, version = protocol.name.rsplit("-", 1)
    return replace(
        protocol,
        name=f"{stem}-multiview-{version}",
        title=f"{protocol.title}; mean over the images of a breast",
        unit="breast",
        aggregate="images",
        source=f"{protocol.source}; averaging: {_GLAM}, Table 4",
        remarks=f"Probabilities are averaged, not logits. {protocol.remarks}",
    )


_AVERAGED = (
    *("embed-birads7", "embed-birads3", "embed-density", "vindr-birads", "vindr-density"),
    *("embed-density-screening", "embed-birads3-pairs", "embed-density-pairs"),
)
PROTOCOLS: Mapping[str, Protocol] = {p.name: p for p in _SINGLE} | {
    _multiview(p).name: _multiview(p)
    for p in _SINGLE
    if p.name.rsplit("-", 1)[0] in (*_AVERAGED, "rsna-cancer")
}


def protocol_names() -> list[str]:
    """All protocols there are, sorted."""
    return sorted({*PROTOCOLS, *(each.name for each in outside("protocols"))})


def find_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        EvaluationError: There is none; the message lists those there are.
        ModuleError: A module outside of the package has it, and cannot be used.
    """
    found = find_outside(
        "protocols", name, PROTOCOLS, what="protocol", error=EvaluationError, of=Protocol
    )
    return PROTOCOLS[name] if found is None else found.thing


def known_protocol(name: str) -> Protocol | None:
    """The protocol of that name; None where a result was measured by one that is not here."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    return next((each.thing for each in outside("protocols") if each.name == name), None)
