"""What every row of a manifest must keep, as filters over whole tables.

Reads:   a Manifest whose columns have the types of ``entities``.
Returns: faults, one for each rule that is broken, each naming the first row that breaks it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from fourview.entities import Manifest
from fourview.entities.reasons import WORDS

DENSITIES = ("A", "B", "C", "D")
SPLITS = ("train", "validation", "test")
FRAMES = ("stored", "flipped_unknown")
OVERRIDES = ("header", "ignore", "user")  # of the pixel spec's voi
BOX = ("x0", "y0", "x1", "y1")
MAX_BIRADS = 6
MAX_AGE = 120.0


class Fault(NamedTuple):
    """A rule that rows of a table break.

    Attributes:
        table: images, breasts, exams or findings.
        rows: How many rows break it.
        text: The first of them, what was found, and what was needed.
    """

    table: str
    rows: int
    text: str


class _Rule(NamedTuple):
    broken: pl.Expr
    has: str  # a format over ``columns``
    columns: tuple[str, ...]
    needed: str


def faults(manifest: Manifest) -> Iterator[Fault]:
    """Every rule that the manifest breaks; none for a good one. Lazy: the first is the cheapest."""
    yield from _apply("images", manifest.images, "image_id", _image_rules())
    yield from _apply("breasts", manifest.breasts, "side", _breast_rules())
    yield from _apply("exams", manifest.exams, "exam_id", _exam_rules())
    yield from _whose(manifest)
    if len(manifest.findings):
        yield from _apply("findings", manifest.findings, "finding_id", _finding_rules())
        yield from _where(manifest)


def _one_of(column: str, values: tuple[str, ...]) -> _Rule:
    broken = ~pl.col(column).is_in(values)  # null where the value is null: not broken
    return _Rule(broken, f"{column} '{{}}'", (column,), f"one of {', '.join(values)}, or null")


def _within(column: str, low: float, high: float) -> _Rule:
    broken = ~pl.col(column).is_between(low, high)
    return _Rule(broken, f"{column} {{}}", (column,), f"{low} to {high}, or null")


def _filled(*columns: str) -> list[_Rule]:
    return [_Rule(pl.col(c).is_null() | (pl.col(c) == ""), f"no {c}", (), "one") for c in columns]


def _image_rules() -> list[_Rule]:
    read = pl.col("left_out").is_null()
    return [
        *_filled("patient_id", "exam_id", "image_id"),
        _Rule(_repeated("image_id"), "the image_id a second time", (), "one row per image"),
        _one_of("side", ("R", "L")),
        *(
            _Rule(read & pl.col(c).is_null(), f"no {c}", (), "one, or a reason in left_out")
            for c in ("side", "view", "path")
        ),
        _Rule(
            (pl.col("rows") < 1) | (pl.col("cols") < 1), "size {} x {}", ("rows", "cols"), "1 up"
        ),
        _Rule(~(pl.col("spacing_mm") > 0), "spacing_mm {}", ("spacing_mm",), "above 0, or null"),
        _one_of("voi", OVERRIDES),
        _one_of("left_out", WORDS),
    ]


def _breast_rules() -> list[_Rule]:
    return [
        *_filled("patient_id", "exam_id", "side"),
        _one_of("side", ("R", "L")),
        _Rule(_repeated("exam_id", "side"), "the breast a second time", (), "one row per breast"),
        _within("cancer", 0, 1),
        _within("birads", 0, MAX_BIRADS),
        _one_of("density", DENSITIES),
    ]


def _exam_rules() -> list[_Rule]:
    return [
        *_filled("patient_id", "exam_id"),
        _Rule(_repeated("exam_id"), "the exam_id a second time", (), "one row per exam"),
        _within("age", 0, MAX_AGE),
        _one_of("density", DENSITIES),
        _one_of("split", SPLITS),
    ]


def _finding_rules() -> list[_Rule]:
    numbers = pl.sum_horizontal(pl.col(c).is_not_null() for c in BOX)
    empty = ~((pl.col("x0") < pl.col("x1")) & (pl.col("y0") < pl.col("y1")))
    points = pl.col("polygon").list.len()
    return [
        *_filled("patient_id", "exam_id", "finding_id"),
        _one_of("side", ("R", "L")),
        _within("malignant", 0, 1),
        _Rule(numbers.is_in([1, 2, 3]), "half a box ({}, {}, {}, {})", BOX, "all four or none"),
        _Rule(empty, "an empty box ({}, {}, {}, {})", BOX, "x0 < x1 and y0 < y1"),
        _Rule(
            (numbers == 4) & (pl.col("image_id").is_null() | pl.col("frame").is_null()),
            "a box on image '{}' in frame '{}'",
            ("image_id", "frame"),
            "both named",
        ),
        _one_of("frame", FRAMES),
        _Rule(
            (points % 2 == 1) | (points < 6), "a polygon of {} numbers", ("points",), "x y pairs"
        ),
    ]


def _repeated(*columns: str) -> pl.Expr:
    return (
        ~pl.struct(columns).is_first_distinct()
        if columns[1:]
        else ~pl.col(columns[0]).is_first_distinct()
    )


def _apply(table: str, rows: pl.DataFrame, key: str, rules: list[_Rule]) -> Iterator[Fault]:
    """All rules in one pass over the table; rows are looked up only where one is broken."""
    if table == "findings":
        rows = rows.with_columns(points=pl.col("polygon").list.len())
    counts = rows.select(
        rule.broken.fill_null(False).sum().alias(str(i)) for i, rule in enumerate(rules)
    )
    for rule, count in zip(rules, counts.row(0), strict=True):
        if count:
            first = rows.filter(rule.broken.fill_null(False)).row(0, named=True)
            yield _fault(table, key, first, count, rule)


def _fault(table: str, key: str, row: dict[str, object], count: int, rule: _Rule) -> Fault:
    names = dict.fromkeys(("patient_id", "exam_id", key))
    where = ", ".join(f"{name} '{row[name]}'" for name in names if row[name] is not None)
    has = rule.has.format(*(row[c] for c in rule.columns))
    more = f" (and {count - 1} more)" if count > 1 else ""
    return Fault(table, count, f"{table}: {where}: has {has}, need {rule.needed}{more}")


def _whose(manifest: Manifest) -> Iterator[Fault]:
    """Rows whose exam is unknown or another patient's."""
    exams = manifest.exams.select("exam_id", owner="patient_id")
    rules = [
        _Rule(pl.col("owner").is_null(), "an exam without a row", (), "one in exams"),
        _Rule(
            pl.col("owner") != pl.col("patient_id"),
            "an exam of patient '{}'",
            ("owner",),
            "one patient per exam",
        ),
    ]
    for table, key in (("images", "image_id"), ("breasts", "side"), ("findings", "finding_id")):
        rows: pl.DataFrame = getattr(manifest, table)
        keys = dict.fromkeys(("patient_id", "exam_id", key))
        joined = rows.select(*keys).join(exams, on="exam_id", how="left", maintain_order="left")
        yield from _apply_joined(table, joined, key, rules)


def _where(manifest: Manifest) -> Iterator[Fault]:
    """Findings of unknown images, of another exam or side than their image's, or outside it."""
    images = manifest.images.select(
        "image_id", "rows", "cols", image_exam="exam_id", image_side="side", known=True
    )
    placed = manifest.findings.filter(pl.col("image_id").is_not_null())
    joined = placed.join(images, on="image_id", how="left", maintain_order="left")
    outside = (pl.col("x0") < 0) | (pl.col("y0") < 0)
    outside |= (pl.col("x1") > pl.col("cols")) | (pl.col("y1") > pl.col("rows"))
    rules = [
        _Rule(pl.col("known").is_null(), "image '{}'", ("image_id",), "an image of the manifest"),
        _Rule(
            pl.col("image_exam") != pl.col("exam_id"),
            "image '{}' of exam '{}'",
            ("image_id", "image_exam"),
            "an image of its own exam",
        ),
        _Rule(
            pl.col("image_side") != pl.col("side"),
            "side {} on image '{}' of side {}",
            ("side", "image_id", "image_side"),
            "the side of its image",
        ),
        _Rule(
            outside,
            "box ({}, {}, {}, {}) outside image '{}' of {} x {}",
            (*BOX, "image_id", "rows", "cols"),
            "a box inside it, in the stored frame",
        ),
    ]
    yield from _apply_joined("findings", joined, "finding_id", rules)


def _apply_joined(table: str, rows: pl.DataFrame, key: str, rules: list[_Rule]) -> Iterator[Fault]:
    for rule in rules:
        bad = rows.filter(rule.broken.fill_null(False))
        if len(bad):
            yield _fault(table, key, bad.row(0, named=True), len(bad), rule)
