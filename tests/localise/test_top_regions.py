"""The best regions of each class and image, in stored pixels."""

from fourview.geometry import Box, Geometry
from fourview.localise.peaks import ScoredRegion
from fourview.localise.top_regions import top_regions

GEOMETRY = Geometry((100, 80)).mirrored().cropped(10, 20, 80, 100)


def region(image: str, x: float, score: float) -> ScoredRegion:
    return ScoredRegion(image_id=image, box=Box(x, 10, x + 20, 30), score=score, geometry=GEOMETRY)


def test_three_of_each_class_and_image_best_first_where_they_lie_in_the_file():
    scores = (0.1, 0.5, 0.3, 0.4)
    cancer = [region(i, 10 * n, s) for i in ("a", "b") for n, s in enumerate(scores)]
    benign = [region("a", 0, 0.9)]
    findings = top_regions({"cancer": cancer, "benign": benign}, "R")
    said = [(f.kind, f.regions[0].image_id, f.score) for f in findings]
    malignant = [("malignant_region", i, s) for i in ("a", "b") for s in (0.5, 0.4, 0.3)]
    assert said == [*malignant, ("benign_region", "a", 0.9)]
    assert [f.finding_id for f in findings] == [f"R-{n}" for n in range(1, 8)]
    # x = 10 in the processed frame is 20 after the mirror, so the box ends at 80 - 20 = 60
    assert findings[0].regions[0].box == Box(40, 30, 60, 50)
