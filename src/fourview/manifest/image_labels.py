"""What is known of single images: malignant, benign, or neither.

Two labels per image, ``cancer`` and ``benign``, both 0 for a normal one. Four rules make them of a
manifest; whichever is taken is named in the recipe that trains with it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import polars as pl

from fourview.entities import Manifest
from fourview.entities.labels import with_labels
from fourview.errors import ManifestError
from fourview.manifest.manifest import images_to_read

LabelRule = Literal["birads", "birads_without_3", "findings", "breasts"]
NatureRule = Literal["birads", "birads-without-3"]
LABELS = ("cancer", "benign")
WORDS: Mapping[LabelRule, str] = {
    "birads": "BI-RADS of the image or its breast: 4 to 6 malignant, 2 and 3 benign, 1 normal",
    "birads_without_3": "as birads, but nothing is known of images with 3",
    "findings": "findings with a box on the image: malignant ones and benign ones, each yes or no",
    "breasts": "the breast's labels cancer and benign on each of its images; benign may be unknown",
}
STAND_IN = {"malignant": 5, "benign": 2, "normal": 1}
STAND_IN_WORDS = (
    "stand-in by image, from findings with a box on it: 5 where one is malignant, 2 where all are"
    " benign, 1 where there is none"
)


NATURES: Mapping[NatureRule, str] = {
    "birads": "by BI-RADS where no biopsy says it: 4 to 6 malignant, 2 and 3 benign",
    "birads-without-3": "by BI-RADS where no biopsy says it: 4 to 6 malignant, 2 benign, 3 unknown",
}


def with_natures(manifest: Manifest, rule: NatureRule) -> Manifest:
    """The manifest with a nature for findings of which none is known, from a BI-RADS category.

    The finding's own category where the data set has one, else that of its image, else of its
    breast, which is that of its worst finding. What a biopsy says stays. The manifest's label rules
    name the rule, and every result that counts marks repeats it.

    Raises:
        ManifestError: No finding gets a nature by the rule.
    """
    findings = manifest.findings
    images = manifest.images
    whose = with_labels(images, ["birads"], breasts=manifest.breasts, exams=manifest.exams)
    category = findings.join(
        whose.select("image_id", of_image="birads"),
        on="image_id",
        how="left",
        maintain_order="left",
    ).join(
        manifest.breasts.select("exam_id", "side", of_breast="birads"),
        on=["exam_id", "side"],
        how="left",
        maintain_order="left",
    )
    own = ["birads"] if "birads" in findings.columns else []
    birads = pl.coalesce(*own, "of_image", "of_breast")
    benign = [2, 3] if rule == "birads" else [2]
    nature = pl.when(birads.is_between(4, 6)).then(1).when(birads.is_in(benign)).then(0)
    labelled = category.with_columns(malignant=pl.coalesce("malignant", nature.cast(pl.Int8)))
    if labelled["malignant"].equals(findings["malignant"], null_equal=True):
        raise ManifestError(
            f"manifest of '{manifest.source}': no finding of unknown nature has a BI-RADS of 2 to"
            " 6, its own or its image's; index without --finding-nature"
        )
    before = manifest.label_rules.get("malignant", "")
    words = f"{before}; {NATURES[rule]}" if before else NATURES[rule]
    return replace(
        manifest,
        findings=labelled.select(findings.columns),
        label_rules={**manifest.label_rules, "malignant": words},
    )


def image_labels(manifest: Manifest, rule: LabelRule) -> pl.DataFrame:
    """``image_id``, ``cancer`` and ``benign`` (1, 0, or null where unknown) of images to read.

    By BI-RADS a malignant image is not benign: the one label is of its worst finding. By findings
    it may be both.

    Raises:
        ManifestError: The rule finds nothing to go by.
    """
    if rule == "findings":
        return _by_findings(manifest)
    if rule == "breasts":
        return _of_breasts(manifest)
    images = images_to_read(manifest)
    table = with_labels(images, ["birads"], breasts=manifest.breasts, exams=manifest.exams)
    birads = pl.col("birads")
    if rule == "birads_without_3":
        birads = pl.when(birads != 3).then(birads)
    table = table.select("image_id", birads=birads)
    if table["birads"].drop_nulls().is_empty():
        raise ManifestError(
            f"manifest of '{manifest.source}': no image has a BI-RADS for the label rule '{rule}'; "
            "set feed.labels=findings or breasts, or index with --image-birads"
        )
    known = pl.col("birads").is_between(1, 6)  # 0 asks for more images: nothing is known
    return table.select(
        "image_id",
        cancer=pl.when(known).then(pl.col("birads") >= 4).cast(pl.Int8),
        benign=pl.when(known).then(pl.col("birads").is_in([2, 3])).cast(pl.Int8),
    )


def with_stand_in_birads(manifest: Manifest) -> Manifest:
    """The manifest with a BI-RADS for each image, for data whose findings are known and all boxed.

    It lets the protocols that ask for BI-RADS measure such data (phantoms); the manifest's label
    rules say that it is a stand-in.

    Raises:
        ManifestError: The manifest has no findings.
    """
    labels = _by_findings(manifest)
    category = (
        pl.when(pl.col("cancer") == 1)
        .then(STAND_IN["malignant"])
        .when(pl.col("cancer").is_null() | pl.col("benign").is_null())
        .then(None)
        .when(pl.col("benign") == 1)
        .then(STAND_IN["benign"])
        .otherwise(STAND_IN["normal"])
        .cast(pl.Int8)
    )
    given = labels.select("image_id", birads=category)
    images = manifest.images.drop("birads", strict=False)
    return replace(
        manifest,
        images=images.join(given, on="image_id", how="left", maintain_order="left"),
        label_rules={**manifest.label_rules, "birads": STAND_IN_WORDS},
    )


def _by_findings(manifest: Manifest) -> pl.DataFrame:
    if manifest.findings.is_empty():
        raise ManifestError(
            f"manifest of '{manifest.source}': no findings for the label rule 'findings'; "
            "set feed.labels=birads or breasts"
        )
    boxed = manifest.findings.filter(pl.col("image_id").is_not_null() & pl.col("x0").is_not_null())
    known = boxed.group_by("image_id").agg(
        cancer=_any(pl.col("malignant") == 1), benign=_any(pl.col("malignant") == 0)
    )
    images = images_to_read(manifest).select("image_id")
    joined = images.join(known, on="image_id", how="left", maintain_order="left")
    on_image = pl.col("image_id").is_in(boxed["image_id"].implode())
    return joined.with_columns(
        pl.when(on_image).then(label).otherwise(0).cast(pl.Int8).alias(label) for label in LABELS
    )


def _of_breasts(manifest: Manifest) -> pl.DataFrame:
    images = images_to_read(manifest)
    known = with_labels(images, LABELS, breasts=manifest.breasts, exams=manifest.exams)
    if known["cancer"].is_null().all():
        raise ManifestError(
            f"manifest of '{manifest.source}': no breast has a label 'cancer' for the label rule"
            " 'breasts'; set feed.labels=birads or findings"
        )
    return known.select("image_id", *(pl.col(label).cast(pl.Int8) for label in LABELS))


def _any(is_kind: pl.Expr) -> pl.Expr:
    """True where one is, null where none is and the nature of one is unknown, else false."""
    return is_kind.any(ignore_nulls=False)
