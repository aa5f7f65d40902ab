"""How often the same finding in CC and MLO becomes one; docs/results/two_views.md.

    python -m benchmarks.two_views                         the figures of 60 exams
    python -m benchmarks.two_views --exams 20 --seed 9000  others

Phantoms: preset miniature, 384 x 192 pixels of 0.6 mm, vendors A, B, C in turn; seeds 4000 on, on
which nothing was chosen: the 10 mm of the rule are the readers' own. A mark is drawn on every image
where a finding can be seen, its centre off by a normal error of 2 mm in both directions.
Same:     the joined pairs that are one finding, of all findings seen in both views.
Wrong:    the joined pairs that are two findings, of all that were joined.
Plain:    depth along the image's rows, as if the MLO did not lean.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fourview.entities import Finding, Image, Region
from fourview.geometry import Box
from fourview.localise.two_views import JoinRule, join_views, quadrant, with_places
from fourview.phantom.exam import make_exam
from fourview.phantom.truth import FindingTruth, PhantomExam, PhantomImage
from fourview.preprocess.axis import PlacedAxis, find_axis
from fourview.preprocess.nipple import find_nipple
from fourview.preprocess.upright import stand_up

EXAMS, FIRST_SEED, ROWS = 60, 4000, 384
ERROR_MM = 2.0
LIMITS_MM = (5.0, 7.5, 10.0, 15.0)


@dataclass(frozen=True)
class Breast:
    """Marks of one breast, the name of the finding that each is of, and the axes."""

    marks: tuple[Finding, ...]
    names: dict[str, str]
    ours: dict[str, PlacedAxis]
    plain: dict[str, PlacedAxis]
    both: int


def breasts(first: int, num: int) -> Iterator[Breast]:
    """The breasts of some exams that have a mark in each view."""
    for seed in range(first, first + num):
        exam = make_exam(seed, "miniature", rows=ROWS, vendor="ABC"[seed % 3])
        rng = np.random.default_rng(seed)
        images = {image.name: exam.entity(image) for image in exam.images}
        for side in "RL":
            views = [f"{side}-CC", f"{side}-MLO"]
            made = breast_of(exam, {name: images[name] for name in views}, rng)
            if made is not None:
                yield made


def breast_of(
    exam: PhantomExam, images: dict[str, Image], rng: np.random.Generator
) -> Breast | None:
    marks, names, seen = [], {}, {}
    ours, plain = {}, {}
    for name, image in images.items():
        phantom = exam.image(name)
        axis = find_axis(image)
        if not isinstance(axis, str):
            ours[image.image_id] = axis
        plain[image.image_id] = unaligned(image)
        for finding in phantom.truth.findings:
            if finding.visible and finding.box is not None:
                marks.append(mark_of(finding, phantom, rng, f"{name} {finding.name}"))
                names[marks[-1].finding_id] = finding.name
                seen.setdefault(finding.name, {})[name[2:]] = (finding, phantom)
    if len({m.regions[0].image_id for m in marks}) < 2:
        return None
    both = [views for views in seen.values() if len(views) == 2]
    return Breast(
        marks=tuple(marks),
        names=names,
        ours=ours,
        plain=plain,
        both=len(both),
    )


def mark_of(
    finding: FindingTruth, image: PhantomImage, rng: np.random.Generator, name: str
) -> Finding:
    """A mark as a model might draw it."""
    dx, dy = rng.normal(0, ERROR_MM / image.spacing_mm, 2)
    box = finding.box
    assert box is not None
    moved = Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy)
    region = Region(image_id=image.image_id, box=moved)
    return Finding(
        finding_id=name, side=image.side, score=float(rng.uniform(0.5, 1)), regions=(region,)
    )


def unaligned(image: Image) -> PlacedAxis:
    """The plain way: the axis along the rows, also in MLO."""
    axis = find_axis(replace(image, view=replace(image.view, position="CC")))
    assert not isinstance(axis, str)
    mask = stand_up(image).breast.mask
    nipple = find_nipple(np.ascontiguousarray(mask[:, ::-1]) if axis.axis.turned else mask)
    assert nipple == axis.axis.nipple
    return replace(axis, position=image.view.position)


def joined_pairs(breast: Breast, axes: dict[str, PlacedAxis], most_mm: float) -> list[bool]:
    """Of each joined pair whether both marks are of one finding."""
    by_box = {(m.regions[0].image_id, m.regions[0].box): m.finding_id for m in breast.marks}
    findings = join_views(breast.marks, axes, rule=JoinRule(most_mm=most_mm))
    pairs = [f.regions for f in findings if len(f.regions) == 2]
    return [
        len({breast.names[by_box[r.image_id, r.box]] for r in regions}) == 1 for regions in pairs
    ]


def places(first: int, num: int) -> tuple[list[float], list[tuple[str, str]]]:
    """Errors of the distance from the nipple (mm) and quadrants: ours and the truth's."""
    errors, words = [], []
    for seed in range(first, first + num):
        exam = make_exam(seed, "miniature", rows=ROWS, vendor="ABC"[seed % 3])
        entities = {i.name: exam.entity(i) for i in exam.images}
        axes = {}
        for image in entities.values():
            axis = find_axis(image)
            if not isinstance(axis, str):
                axes[image.image_id] = axis
        for side in "RL":
            cc, mlo = (exam.image(f"{side}-{v}") for v in ("CC", "MLO"))
            if not {cc.image_id, mlo.image_id} <= axes.keys():
                continue
            own = {f.name: f for f in mlo.truth.findings if f.visible and f.box}
            for one in cc.truth.findings:
                if not (one.visible and one.box) or one.name not in own:
                    continue
                other = own[one.name]
                regions = tuple(
                    Region(image_id=i.image_id, box=f.box) for i, f in ((cc, one), (mlo, other))
                )
                got = with_places(Finding(finding_id=one.name, side=side, regions=regions), axes)
                depth = cc.truth.length_mm - one.x_ap_mm
                true = float(np.mean([np.hypot(depth, one.t_mm), np.hypot(depth, other.t_mm)]))
                errors.append(abs((got.nipple_mm or np.nan) - true))
                words.append((got.quadrant, quadrant(one.t_mm, other.t_mm, true)))
    return errors, words


def rates(all_breasts: list[Breast], way: str, most_mm: float) -> tuple[int, int, int]:
    """Right joins, wrong joins, findings seen in both views."""
    right = wrong = both = 0
    for breast in all_breasts:
        pairs = joined_pairs(breast, getattr(breast, way), most_mm)
        right += sum(pairs)
        wrong += len(pairs) - sum(pairs)
        both += breast.both
    return right, wrong, both


def main() -> None:
    parser = argparse.ArgumentParser(description="Joining findings over views, against truth.")
    parser.add_argument("--exams", type=int, default=EXAMS)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    chosen = parser.parse_args()
    made = list(breasts(chosen.seed, chosen.exams))
    print("| axis | limit, mm | same finding joined | joined pairs that are two findings |")
    print("| --- | --- | --- | --- |")
    for way, word in (("plain", "along the rows"), ("ours", "AP")):
        for limit in LIMITS_MM:
            right, wrong, both = rates(made, way, limit)
            print(
                f"| {word} | {limit:g} | {right} of {both}, {right / both:.0%} | "
                f"{wrong} of {right + wrong}, {wrong / max(right + wrong, 1):.0%} |"
            )
    errors, words = places(chosen.seed, chosen.exams)
    same = np.mean([a == b for a, b in words])
    q = np.nanpercentile(errors, (50, 90))
    print(
        f"\ndistance from the nipple, mm off: median {q[0]:.1f}, 90th {q[1]:.1f}; "
        f"quadrant as in the truth: {same:.0%} of {len(words)}"
    )
    for pair in sorted({w for w in words if w[0] != w[1]}):
        print(f"  said {pair[0]}, is {pair[1]}: {words.count(pair)}")


if __name__ == "__main__":
    main()
