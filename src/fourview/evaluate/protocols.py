"""Protocols: how a result is measured, by name.

A protocol is never edited once released: another rule is another name (``-v2``). The test
``test_protocols_are_frozen`` holds a hash of each.
"""

from collections.abc import Mapping
from dataclasses import replace

from fourview.errors import EvaluationError
from fourview.evaluate.protocol import FrocRule, Protocol
from fourview.evaluate.protocols_clsdet import CLSDET
from fourview.outside import find_outside, outside

__all__ = [
    "PROTOCOLS",
    "FrocRule",
    "Protocol",
    "find_protocol",
    "known_protocol",
    "protocol_names",
]

_RANKS = ("auroc", "auprc_trapezoid", "average_precision", "partial_auc")
_AT_THRESHOLD = ("balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1")
_FROC_RATES = tuple(f"froc_sensitivity_at_{r}_fp" for r in ("0.25", "0.5", "1"))

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
    *CLSDET,
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
    theirs = find_outside(
        "protocols", name, PROTOCOLS, what="protocol", error=EvaluationError, of=Protocol
    )
    return PROTOCOLS[name] if theirs is None else theirs.thing


def known_protocol(name: str) -> Protocol | None:
    """The protocol of that name; None where a result was measured by one that is not here."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    return next((each.thing for each in outside("protocols") if each.name == name), None)
