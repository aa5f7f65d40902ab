"""Who is trained on and who is tested on: by patient, always.

Every function returns a new manifest whose ``exams.split`` is set, or a part of one. A patient's
place depends on the patient's id, the seed and the strata only, not on the order of rows; so does
membership in a fraction, and a smaller fraction is a part of a larger one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.fingerprint import numbers_of
from fourview.manifest.manifest import require_valid
from fourview.manifest.rules import SPLITS
from fourview.suggest import no_such

STRATA = ("cancer", "density")
TOLERANCE = 1e-6  # of a sum of fractions written in decimals


def assign_split(
    manifest: Manifest,
    fractions: Mapping[str, float],
    seed: int,
    stratify: Sequence[str] = STRATA,
    *,
    within: str | None = None,
) -> Manifest:
    """Give each patient one split, so that strata keep their shares.

    Strata are laid end to end, their order and that of their patients decided by the seed, and the
    patients are dealt out one by one to the split that lacks most: so the splits' sizes are right
    within one patient, and each stratum's shares within about one.

    Args:
        manifest: Its present splits are replaced, or kept outside ``within``.
        fractions: Share of the patients by split, such as {"train": 0.7, "test": 0.3}; sums to 1.
        seed: Another seed is another split.
        stratify: Columns of breasts or exams; a patient has the highest value of each (any cancer).
        within: Only patients of this split are divided; the published test stays what it is.

    Raises:
        ManifestError: A fraction, a split or a column is unknown.
    """
    _require_fractions(fractions)
    patients = _ordered_patients(_part(manifest, within), seed, stratify)
    place = _dealt(len(patients), fractions)
    assigned = patients.select("patient_id").with_columns(new_split=place)
    exams = manifest.exams.join(assigned, on="patient_id", how="left", maintain_order="left")
    kept = pl.col("split") if within is not None else pl.lit(None, dtype=pl.String)
    exams = exams.with_columns(split=pl.coalesce("new_split", kept)).drop("new_split")
    return replace(manifest, exams=exams)


def assign_fold(
    manifest: Manifest,
    fold: int,
    num_folds: int,
    seed: int,
    stratify: Sequence[str] = STRATA,
) -> Manifest:
    """The manifest with one fold of its patients as test and all others as train.

    Strata are laid end to end and their patients dealt out in turn, so folds differ by one patient
    at most, and so do their shares of a stratum.

    Args:
        manifest: Its present splits are replaced.
        fold: Which, from 0.
        num_folds: How many there are, at least 2.
        seed: Another seed makes other folds.
        stratify: As in ``assign_split``.

    Raises:
        ManifestError: There is no such fold, or there are fewer patients than folds.
    """
    patients = _ordered_patients(manifest, seed, stratify)
    if not 2 <= num_folds <= len(patients) or not 0 <= fold < num_folds:
        raise ManifestError(
            f"fold {fold} of {num_folds} among {len(patients)} patients: need at least 2 folds, at "
            "most as many as patients, and a fold among them"
        )
    tested = pl.int_range(pl.len()) % num_folds == fold
    chosen = patients.select("patient_id", split=pl.when(tested).then(pl.lit("test")))
    exams = manifest.exams.drop("split").join(
        chosen, on="patient_id", how="left", maintain_order="left"
    )
    exams = exams.with_columns(pl.col("split").fill_null("train"))
    return replace(manifest, exams=exams.select(manifest.exams.columns))


def split_by_list(
    manifest: Manifest, listed: pl.DataFrame, *, split: str | None = None
) -> Manifest:
    """Take splits from a person's list, such as the INbreast exams of a paper.

    Args:
        manifest: The patients that the list does not name get no split.
        listed: Has one of patient_id, exam_id or image_id, and ``split`` unless that is given.
        split: The split of all that is listed.

    Raises:
        ManifestError: The list has no key, names what the manifest has not, or puts one patient
            into two splits.
    """
    key = next((k for k in ("patient_id", "exam_id", "image_id") if k in listed.columns), None)
    if key is None or (split is None and "split" not in listed.columns):
        raise ManifestError(
            f"the list has columns {', '.join(listed.columns)}, need patient_id, exam_id or "
            "image_id, and split"
        )
    table = manifest.images if key == "image_id" else manifest.exams
    whose = (
        table.select("patient_id", key).unique()
        if key != "patient_id"
        else table.select(key).unique()
    )
    names = listed.select(
        pl.col(key).cast(pl.String),
        split=pl.lit(split) if split is not None else pl.col("split").cast(pl.String),
    )
    unknown = names.join(whose, on=key, how="anti")
    if len(unknown):
        raise ManifestError(
            f"the list names {key} '{unknown[key][0]}' ({len(unknown)} such), which is"
            " not in the manifest; correct the list"
        )
    places = names.join(whose, on=key).group_by("patient_id").agg(pl.col("split").unique())
    torn = places.filter(pl.col("split").list.len() > 1).sort("patient_id")
    if len(torn):
        both = " and ".join(sorted(torn["split"][0]))
        raise ManifestError(
            f"the list puts patient '{torn['patient_id'][0]}' into {both}, need one"
        )
    places = places.with_columns(pl.col("split").list.first())
    exams = manifest.exams.drop("split").join(
        places, on="patient_id", how="left", maintain_order="left"
    )
    changed = replace(manifest, exams=exams.select(manifest.exams.columns))
    require_valid(changed)
    return changed


def assign_rest(
    manifest: Manifest,
    fractions: Mapping[str, float],
    seed: int,
    stratify: Sequence[str] = STRATA,
) -> Manifest:
    """Divide the patients that have no split yet, such as those that a list does not name.

    Args:
        manifest: Patients with a split keep it.
        fractions: As in ``assign_split``, of the rest.
        seed: As there.
        stratify: As there.

    Raises:
        ManifestError: A fraction, a split or a column is unknown.
    """
    placed = manifest.exams.filter(pl.col("split").is_not_null())["patient_id"].unique()
    rest = assign_split(without_patients(manifest, placed), fractions, seed, stratify).exams
    new = rest.select("exam_id", new_split="split")
    exams = manifest.exams.join(new, on="exam_id", how="left", maintain_order="left")
    exams = exams.with_columns(split=pl.coalesce("split", "new_split")).drop("new_split")
    return replace(manifest, exams=exams)


def take_fraction(
    manifest: Manifest,
    fraction: float,
    seed: int = 0,
    stratify: Sequence[str] = STRATA,
    *,
    split: str = "train",
) -> Manifest:
    """Keep a share of one split's patients, at least one of each stratum; other splits stay whole.

    Nested: the patients of 1 % are among those of 10 %. Strata keep their shares.

    Args:
        manifest: Has splits.
        fraction: Above 0, at most 1.
        seed: Another seed takes other patients.
        stratify: As in ``assign_split``.
        split: The one that is thinned.

    Raises:
        ManifestError: The fraction is out of range, or nobody is in the split.
    """
    if not 0 < fraction <= 1:
        raise ManifestError(f"fraction is {fraction}, need above 0 and at most 1")
    patients = _ordered_patients(_part(manifest, split), seed, stratify)
    keep = (pl.col("place") < fraction) | (pl.col("rank") == 0)
    gone = patients.filter(~keep).select("patient_id")
    return without_patients(manifest, gone["patient_id"])


def without_patients(manifest: Manifest, patients: pl.Series) -> Manifest:
    """The manifest without these patients, in all four tables."""
    gone = pl.DataFrame({"patient_id": patients})

    def rest(table: pl.DataFrame) -> pl.DataFrame:
        return table.join(gone, on="patient_id", how="anti", maintain_order="left")

    return replace(
        manifest,
        images=rest(manifest.images),
        breasts=rest(manifest.breasts),
        exams=rest(manifest.exams),
        findings=rest(manifest.findings),
    )


def subsample_test(
    images: pl.DataFrame, label: str, per_class: float, min_per_class: int, seed: int
) -> pl.DataFrame:
    """A share of the images of every class of a label, for a balanced test.

    Args:
        images: Has ``image_id`` and ``label``; rows without a label are not taken.
        label: Column of classes, such as birads.
        per_class: Share of each class, rounded down.
        min_per_class: At least as many, or all where a class has fewer.
        seed: Another seed takes other images.
    """
    rank = pl.col("key").rank("ordinal").over(label) - 1
    count = pl.len().over(label)
    wanted = pl.max_horizontal((count * per_class).floor(), pl.lit(float(min_per_class)))
    known = images.filter(pl.col(label).is_not_null())
    keyed = known.with_columns(key=_keys(known["image_id"], seed))
    return keyed.filter(rank < wanted).drop("key")


def _require_fractions(fractions: Mapping[str, float]) -> None:
    unknown = sorted(set(fractions) - set(SPLITS))
    if unknown:
        raise ManifestError(no_such("split", unknown[0], SPLITS))
    if any(share < 0 for share in fractions.values()) or not fractions:
        raise ManifestError(f"shares of a split are {_listed(fractions)}; need 0 or more each")
    total = sum(fractions.values())
    if abs(total - 1) > TOLERANCE:
        raise ManifestError(
            f"shares of a split are {_listed(fractions)}; they sum to {total:g}, need 1"
        )


def _listed(fractions: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:g}" for name, share in fractions.items()) or "none"


def _part(manifest: Manifest, split: str | None) -> Manifest:
    if split is None:
        return manifest
    exams = manifest.exams.filter(pl.col("split") == split)
    if exams.is_empty():
        raise ManifestError(f"no exam is in split '{split}'; assign splits first")
    breasts = manifest.breasts.join(exams, on="exam_id", how="semi")
    return replace(manifest, exams=exams, breasts=breasts)


def _dealt(count: int, fractions: Mapping[str, float]) -> pl.Series:
    """The split of each of ``count`` patients in their order: always the one that lacks most."""
    names, shares = list(fractions), list(fractions.values())
    lacks = [0.0] * len(names)
    dealt = []
    for _ in range(count):
        lacks = [lack + share for lack, share in zip(lacks, shares, strict=True)]
        most = max(range(len(names)), key=lacks.__getitem__)
        lacks[most] -= 1
        dealt.append(names[most])
    return pl.Series("split", dealt, dtype=pl.String)


def _ordered_patients(manifest: Manifest, seed: int, stratify: Sequence[str]) -> pl.DataFrame:
    """Every patient, stratum by stratum, with ``rank`` in its stratum and ``place`` in [0, 1).

    ``place`` is (rank + u) / size with one u in [0, 1) for each stratum, from the seed: so the
    expected number with place < f is f times the size, for small strata too.
    """
    patients = manifest.exams.select("patient_id").unique().sort("patient_id")
    for column in stratify:
        patients = patients.join(_worst(manifest, column), on="patient_id", how="left")
    stratum = pl.concat_str(
        [pl.lit(""), *(pl.col(c).fill_null("?") for c in stratify)], separator="|"
    )
    patients = patients.select("patient_id", stratum=stratum)
    strata = patients.select(pl.col("stratum").unique().sort())
    strata = strata.with_columns(stratum_key=_keys(strata["stratum"], seed))
    return (
        patients.with_columns(key=_keys(patients["patient_id"], seed))
        .join(strata, on="stratum", how="left")
        .sort("stratum_key", "key", "patient_id")
        .with_columns(rank=pl.int_range(pl.len()).over("stratum"), size=pl.len().over("stratum"))
        .with_columns(
            place=(pl.col("rank") + pl.col("stratum_key").cast(pl.Float64) / 2.0**64)
            / pl.col("size")
        )
    )


def _worst(manifest: Manifest, column: str) -> pl.DataFrame:
    """The highest value that any exam or breast of a patient has, as text."""
    tables = [t for t in (manifest.breasts, manifest.exams) if column in t.columns]
    if not tables:
        raise ManifestError(f"no column '{column}' in breasts or exams to stratify by")
    values = pl.concat([t.select("patient_id", column) for t in tables])
    return values.group_by("patient_id").agg(pl.col(column).max().cast(pl.String))


def _keys(ids: pl.Series, seed: int) -> pl.Series:
    """A number for each id that only the id and the seed decide, the same on every machine."""
    return pl.Series("key", numbers_of(ids.to_list(), seed=seed), dtype=pl.UInt64)
