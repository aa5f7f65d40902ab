"""Splits: by patient, stratified, seeded, and deaf to the order of rows."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.manifest.split import (
    assign_rest,
    assign_split,
    split_by_list,
    subsample_test,
    take_fraction,
    without_patients,
)

THIRDS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def make(num_patients=400, exams_each=2):
    """Every fifth patient has a cancer in one breast of one exam; densities A to D and unknown."""
    images, breasts = [], []
    for patient in range(num_patients):
        for exam in range(exams_each):
            for side in "RL":
                key = (f"p{patient:04d}", f"p{patient:04d}e{exam}")
                images.append((*key, f"{key[1]}{side}", side, "CC", "x.dcm"))
                cancer = int(patient % 5 == 0 and exam == 0 and side == "L")
                breasts.append((*key, side, cancer, "ABCD "[patient % 7 % 5].strip() or None))
    names = ["patient_id", "exam_id", "image_id", "side", "view", "path"]
    return make_manifest(
        source="test",
        root="",
        terms="",
        images=pl.DataFrame(images, names, orient="row"),
        breasts=pl.DataFrame(
            breasts, ["patient_id", "exam_id", "side", "cancer", "density"], orient="row"
        ),
    )


def places(manifest):
    table = manifest.exams.group_by("patient_id").agg(pl.col("split").unique())
    return {patient: set(split) for patient, split in table.rows()}


def ill(manifest):
    return set(manifest.breasts.filter(pl.col("cancer") == 1)["patient_id"])


def test_all_exams_of_a_patient_go_to_one_split():
    assert all(len(split) == 1 for split in places(assign_split(make(), THIRDS, 0)).values())


def test_sizes_are_right_within_one_and_strata_keep_their_shares():
    manifest = make()
    split = assign_split(manifest, THIRDS, 3)
    positive = ill(manifest)
    for name, share in THIRDS.items():
        inside = {p for p, s in places(split).items() if s == {name}}
        assert abs(len(inside) - share * 400) <= 1
        # one stratum for each of 2 labels x 5 densities, each off by about one at most
        assert abs(len(inside & positive) - share * 80) <= 5


@pytest.mark.parametrize("seed", range(10))
def test_a_single_label_is_shared_out_within_two_patients(seed):
    manifest = make(exams_each=1)
    split = places(assign_split(manifest, THIRDS, seed, ("cancer",)))
    for name, share in THIRDS.items():
        # a stretch of patients dealt out in turn is off by less than one at either end
        assert abs(sum(split[p] == {name} for p in ill(manifest)) - share * 80) <= 2


def test_another_seed_is_another_split_and_the_same_seed_the_same():
    manifest = make()
    one, again, other = (places(assign_split(manifest, THIRDS, seed)) for seed in (0, 0, 1))
    assert one == again
    moved = sum(one[patient] != other[patient] for patient in one)
    assert moved > 100  # independent splits differ for 46 % of 400 patients


@given(st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_does_not_matter(random):
    manifest = make(60)
    seed = random.randrange(100)
    shuffled = replace(
        manifest,
        exams=manifest.exams.sample(fraction=1, shuffle=True, seed=seed),
        breasts=manifest.breasts.sample(fraction=1, shuffle=True, seed=seed),
    )
    assert places(assign_split(shuffled, THIRDS, 4)) == places(assign_split(manifest, THIRDS, 4))


def test_a_published_test_stays_when_only_training_is_divided():
    published = assign_split(make(), {"train": 0.8, "test": 0.2}, 0)
    carved = assign_split(published, {"train": 0.9, "validation": 0.1}, 7, within="train")
    before, after = places(published), places(carved)
    assert {p for p in before if before[p] == {"test"}} == {
        p for p in after if after[p] == {"test"}
    }
    assert sum(split == {"validation"} for split in after.values()) == 32


def test_a_single_patient_of_a_stratum_goes_where_the_seed_says():
    manifest = make(10)
    seen = {
        next(iter(places(assign_split(manifest, {"train": 0.5, "test": 0.5}, seed))["p0000"]))
        for seed in range(12)
    }
    assert seen == {"train", "test"}


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"train": 0.7, "test": 0.2}, "train 0.7, test 0.2; they sum to 0.9, need 1"),
        ({"train": 0.7, "dev": 0.3}, "no split 'dev'; there are: train, validation, test"),
        ({"train": 1.5, "test": -0.5}, "need 0 or more each"),
        ({}, "need 0 or more each"),
    ],
)
def test_fractions_that_are_none_are_refused(fractions, message):
    with pytest.raises(ManifestError, match=message):
        assign_split(make(4), fractions, 0)


def test_an_unknown_column_to_stratify_by_is_refused():
    with pytest.raises(ManifestError, match="no column 'vendor' in breasts or exams"):
        assign_split(make(4), THIRDS, 0, ("vendor",))


def test_fractions_of_training_are_nested_and_leave_the_test_alone():
    split = assign_split(make(), {"train": 0.75, "test": 0.25}, 0)
    whole = {p for p, s in places(split).items() if s == {"train"}}
    test = {p for p, s in places(split).items() if s == {"test"}}
    kept = {}
    for fraction in (0.01, 0.1, 0.5, 1.0):
        part = places(take_fraction(split, fraction, 5))
        kept[fraction] = {p for p, s in part.items() if s == {"train"}}
        assert {p for p, s in part.items() if s == {"test"}} == test
    assert kept[0.01] <= kept[0.1] <= kept[0.5] <= kept[1.0] == whole
    # 10 strata, each off by less than one patient
    assert abs(len(kept[0.1]) - 30) <= 10
    assert abs(len(kept[0.5]) - 150) <= 10


def test_the_smallest_fraction_keeps_one_patient_of_each_stratum():
    split = assign_split(make(), {"train": 0.75, "test": 0.25}, 0)
    part = take_fraction(split, 0.01, 5)
    train = part.exams.filter(pl.col("split") == "train")
    known = part.breasts.join(train, on="exam_id", how="semi")
    assert set(known["density"]) == {"A", "B", "C", "D", None}
    assert {0, 1} <= set(known["cancer"])


def test_taking_a_fraction_takes_whole_patients_in_all_tables():
    split = assign_split(make(), {"train": 1.0}, 0)
    part = take_fraction(split, 0.1)
    patients = set(part.exams["patient_id"])
    assert set(part.images["patient_id"]) == set(part.breasts["patient_id"]) == patients
    assert len(part.images) == 4 * len(patients)


def test_a_list_of_a_paper_gives_the_split():
    manifest = make(10)
    listed = pl.DataFrame({"exam_id": ["p0001e0", "p0001e1", "p0003e0"]})
    split = places(split_by_list(manifest, listed, split="test"))
    assert {p for p, s in split.items() if s == {"test"}} == {"p0001", "p0003"}
    assert split["p0000"] == {None}


def test_a_list_that_tears_a_patient_apart_is_refused():
    listed = pl.DataFrame({"exam_id": ["p0001e0", "p0001e1"], "split": ["train", "test"]})
    with pytest.raises(ManifestError, match="puts patient 'p0001' into test and train"):
        split_by_list(make(4), listed)
    with pytest.raises(ManifestError, match="names exam_id 'q'"):
        split_by_list(make(4), pl.DataFrame({"exam_id": ["q"]}), split="test")
    with pytest.raises(ManifestError, match="has split 'dev'"):
        split_by_list(make(4), pl.DataFrame({"exam_id": ["p0001e0"]}), split="dev")


def test_subsampling_takes_a_share_of_each_class_and_all_of_small_ones():
    table = pl.DataFrame(
        {
            "image_id": [f"i{n:05d}" for n in range(5310)],
            "birads": [0] * 3000 + [1] * 2150 + [5] * 150 + [None] * 10,
        }
    )
    part = subsample_test(table, "birads", 0.1, 200, seed=42)
    assert part["birads"].value_counts().sort("birads").rows() == [(0, 300), (1, 215), (5, 150)]
    shuffled = subsample_test(table.reverse(), "birads", 0.1, 200, seed=42)
    assert set(shuffled["image_id"]) == set(part["image_id"])


def test_patients_can_be_taken_out_of_all_tables():
    rest = without_patients(make(3), pl.Series(["p0001"]))
    assert set(rest.images["patient_id"]) == set(rest.exams["patient_id"]) == {"p0000", "p0002"}


def test_the_rest_of_a_list_is_divided_and_the_list_stays():
    listed = pl.DataFrame({"patient_id": [f"p{n:04d}" for n in range(40)]})
    manifest = split_by_list(make(), listed, split="test")
    whole = places(assign_rest(manifest, {"train": 0.9, "validation": 0.1}, 3))
    assert {p for p, s in whole.items() if s == {"test"}} == set(listed["patient_id"])
    assert sum(s == {"validation"} for s in whole.values()) == 36
    assert sum(s == {"train"} for s in whole.values()) == 324
