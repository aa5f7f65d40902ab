"""Protocols of Cls-Det-RS: two questions, by image and by breast, with and without BI-RADS 3.

Of marks there are two more: few false ones on the images that the paper counts, and on all images.
"""

from dataclasses import replace

from fourview.evaluate.protocol import FrocRule, Protocol

_CLSDET_RATES = tuple(f"froc_sensitivity_at_{r}_fp" for r in ("0.5", "1", "2"))
_FEW_RATES = tuple(f"froc_sensitivity_at_{r}_fp" for r in ("0.1", "0.25", "0.5", "1"))
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


def _few_marks(protocol: Protocol) -> Protocol:
    """At less than one false mark on two images: where a way of reading differs from another."""
    return replace(
        protocol,
        name=protocol.name.replace("-v1", "-few-v1"),
        title=f"{protocol.title}; few false marks",
        metrics=_FEW_RATES,
        remarks="The paper shows the curve and names no rate; these are ours. " + protocol.remarks,
    )


def _on_all_images(protocol: Protocol) -> Protocol:
    """Images without a finding count, too: there a mark can only be false."""
    assert protocol.froc is not None
    return replace(
        _few_marks(protocol),
        name=protocol.name.replace("-v1", "-all-v1"),
        title=f"{protocol.title}; few false marks, on all images",
        froc=replace(protocol.froc, images="all"),
        remarks="The paper counts marks on positive images called positive alone, which are others "
        f"for each network; all images are the same for all. {protocol.remarks}",
    )


CLSDET = (
    *(
        made
        for protocol in (_CLSDET, _CLSDET_MB)
        for made in (
            protocol,
            _outlined(protocol),
            _without_3(protocol),
            _by_breast(protocol),
            _by_breast(_without_3(protocol)),
            _few_marks(protocol),
            _on_all_images(protocol),
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
)
