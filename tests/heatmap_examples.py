"""Heatmaps and regions of one image, for the tests of localise."""

import numpy as np

from fourview.entities import Heatmap
from fourview.geometry import Box, Geometry
from fourview.localise.findings import RegionRule, findings_from_regions
from fourview.localise.peaks import PeakRule, ScoredRegion, heatmap_regions

PLAIN = Geometry((80, 40))


def heatmap(values, geometry=PLAIN, image_id="image", class_name="malignant"):
    return Heatmap(
        image_id=image_id,
        class_name=class_name,
        values=np.asarray(values, dtype=np.float32),
        geometry=geometry,
    )


def region(x0, y0, x1, y1, score, image_id="image", geometry=PLAIN):
    return ScoredRegion(image_id=image_id, box=Box(x0, y0, x1, y1), score=score, geometry=geometry)


def from_heatmaps(heatmaps, side, **options):
    """The findings of maps of one breast: their peaks, then the best of them."""
    regions = [r for each in heatmaps for r in heatmap_regions(each, PeakRule())]
    return findings_from_regions(regions, side, rule=RegionRule(most_overlap=1.0), **options)
