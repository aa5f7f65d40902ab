"""Which of several images stands for a view: one rule for files and for manifests."""

import itertools
import random
from functools import cmp_to_key
from pathlib import Path

import polars as pl
import pytest

from dicom_examples import TWELVE, gradient, mammogram, with_view, write_mammogram
from fourview.dicom.exams import read_exams
from fourview.entities.preference import best_first
from fourview.manifest.manifest import images_to_read
from fourview.manifest.select import with_slots
from fourview.sources.dicom import read_dicom

SCHEMA = {
    "image_id": pl.String,
    "kind": pl.String,
    "modifiers": pl.List(pl.String),
    "rows": pl.Int32,
    "cols": pl.Int32,
    "is_for_presentation": pl.Boolean,
    "rank": pl.Int64,
    "acquired": pl.String,
}
BEST_KINDS = ("ffdm", "film", "cesm_low_energy", "synthetic")


def first_of_two(a, b):
    """-1 where a is preferred: the rule as its sentences read, one question after the other."""

    def known_first(x, y, better):
        if x == y:
            return 0
        if x is None or y is None:
            return 1 if x is None else -1
        return -1 if better(x, y) else 1

    def displaced(row):
        return "implant_displaced" in (row["modifiers"] or [])

    def place(row):
        return BEST_KINDS.index(row["kind"]) if row["kind"] in BEST_KINDS else 99

    def pixels(row):
        return None if row["rows"] is None else row["rows"] * row["cols"]

    answers = (
        known_first(displaced(a), displaced(b), lambda x, y: x < y),
        known_first(len(a["modifiers"] or []), len(b["modifiers"] or []), lambda x, y: x < y),
        known_first(a["is_for_presentation"], b["is_for_presentation"], lambda x, y: x > y),
        known_first(place(a), place(b), lambda x, y: x < y),
        known_first(a["rank"], b["rank"], lambda x, y: x < y),
        known_first(a["acquired"], b["acquired"], lambda x, y: x > y),
        known_first(pixels(a), pixels(b), lambda x, y: x > y),
        known_first(a["image_id"], b["image_id"], lambda x, y: x < y),
    )
    return next((answer for answer in answers if answer), 0)


@pytest.mark.parametrize("seed", range(20))
def test_the_rule_is_that_of_a_slow_comparison(seed):
    draw = random.Random(seed)
    rows = [
        {
            "image_id": f"{n}",
            "kind": draw.choice([*BEST_KINDS, None]),
            "modifiers": draw.choice([None, [], ["rolled"], ["implant_displaced"], ["a", "b"]]),
            "rows": draw.choice([100, 200, None]),
            "cols": 80,
            "is_for_presentation": draw.choice([True, False, None]),
            "rank": draw.choice([None, 0, 1]),
            "acquired": draw.choice([None, "20200101100000", "20200101100500"]),
        }
        for n in range(40)
    ]
    rows += [row | {"image_id": f"{row['image_id']}b"} for row in rows[::3]]  # ties but for the id
    draw.shuffle(rows)
    table = pl.DataFrame(rows, schema=SCHEMA)
    wanted = [row["image_id"] for row in sorted(rows, key=cmp_to_key(first_of_two))]
    assert best_first(table)["image_id"].to_list() == wanted
    few = table.drop("is_for_presentation", "rank", "acquired")
    bare = [row | dict.fromkeys(("is_for_presentation", "rank", "acquired")) for row in rows]
    wanted = [row["image_id"] for row in sorted(bare, key=cmp_to_key(first_of_two))]
    assert best_first(few)["image_id"].to_list() == wanted


LATER, EARLIER = {"AcquisitionTime": "100000"}, {"AcquisitionTime": "090000"}
SYNTHETIC = {"ImageType": ["DERIVED", "PRIMARY", "", "GENERATED_2D"]}
SMALL = gradient((20, 18), TWELVE)
PAIRS = {  # header and pixels of the better image, then of the worse one
    "a later small one before an earlier large one": (LATER, SMALL, EARLIER, None),
    "the larger of one moment": (LATER, None, LATER, SMALL),
    "full-field before a later synthetic one": (EARLIER, SMALL, LATER | SYNTHETIC, None),
    "a known moment before an unknown one": (EARLIER, SMALL, {}, None),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_reading_and_a_manifest_choose_the_same_image(pair, tmp_path):
    better, good_pixels, worse, bad_pixels = PAIRS[pair]
    day = {"AcquisitionDate": "20200102"}
    for name, number, header, pixels in (
        ("good.dcm", 2, better, good_pixels),  # the ids alone would decide the other way
        ("bad.dcm", 1, worse, bad_pixels),
    ):
        write_mammogram(tmp_path / name, mammogram(number, **day, **header), stored=pixels)
    assert read_order(tmp_path) == manifest_order(tmp_path) == ["good.dcm", "bad.dcm"]


def test_they_agree_on_every_pair_of_many_images(tmp_path):
    makers = [
        *({"AcquisitionDate": day} for day in ("20200102", "20200103")),
        *({"AcquisitionDate": "20200102", **EARLIER, **more} for more in ({}, SYNTHETIC)),
        *({"AcquisitionDate": "20200102", **LATER, **more} for more in ({}, SYNTHETIC)),
        {"ViewModifier": ("399162004", "399209000")},
    ]
    for number, header in enumerate(makers, start=1):
        modifiers = header.pop("ViewModifier", None)
        dataset = mammogram(number, **header)
        if modifiers:
            with_view(dataset, *modifiers)
        stored = SMALL if number % 2 else None
        write_mammogram(tmp_path / "all" / f"{number}.dcm", dataset, stored=stored)
    assert read_order(tmp_path / "all") == manifest_order(tmp_path / "all")
    for first, second in itertools.combinations(range(1, len(makers) + 1), 2):
        two = tmp_path / f"{first}-{second}"
        two.mkdir()
        for number in (first, second):
            (two / f"{number}.dcm").hardlink_to(tmp_path / "all" / f"{number}.dcm")
        assert read_order(two) == manifest_order(two)


def read_order(folder):
    (exam,) = read_exams(folder)
    return [Path(image.path).name for image in exam.in_slot("L-CC")]


def manifest_order(folder):
    images = with_slots(images_to_read(read_dicom(folder))).filter(pl.col("slot") == "L-CC")
    return images.sort("place")["path"].to_list()
