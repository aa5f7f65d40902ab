"""What experiments/clsdet.toml names: choice of data, a control, and a measure of single images.

fourview study experiments/clsdet.toml -o OUT
"""

from dataclasses import replace

import numpy as np
import polars as pl
import torch
from jaxtyping import Float

from fourview.contract import ExamBatch, LossTerms, Stage
from fourview.entities import Manifest
from fourview.evaluate.table import read_predictions
from fourview.feeds.hits import BOX, region_hits
from fourview.geometry import Box
from fourview.manifest.image_labels import with_stand_in_birads
from fourview.models import clsdet as family
from fourview.models.clsdet.objective import ClsdetObjective
from fourview.recipes.clsdet import small
from fourview.run_files import PREDICTIONS
from fourview.store.store import Store
from fourview.study.study_runs import Run
from fourview.train.recipe import Recipe


def shadows_are_tissue(manifest: Manifest) -> Manifest:
    """Summation shadows stay on the images and are no findings: marks on them are false.

    Images get a BI-RADS that stands in for what is on them, by which the protocols label them.
    """
    findings = manifest.findings.filter(pl.col("phantom_kind") != "summation")
    return with_stand_in_birads(replace(manifest, findings=findings))


class DealtLabels(ClsdetObjective):
    """Labels are dealt anew among the images of every batch: nothing can be learnt from them."""

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch whose images have each other's labels."""
        order = torch.randperm(batch.num_images)
        dealt = {name: values[order] for name, values in batch.image_targets.items()}
        return super().forward(replace(batch, image_targets=dealt))


def dealt() -> Recipe:
    """``clsdet:small`` with labels that are dealt at random."""
    return replace(small(), name="clsdet_dealt:small", family="clsdet_dealt")


_STAGE: Stage = family.FAMILY.stages["train"]
FAMILIES = [
    replace(
        family.FAMILY,
        name="clsdet_dealt",
        stages={"train": replace(_STAGE, objective=DealtLabels)},
    )
]
RECIPES = {"clsdet_dealt:small": dealt}


def best_region(run: Run, *, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """For every image with a malignant finding, whether its region with the highest score hits it.

    Returns:
        ``hit``; ``chance``, the share of the image's regions that hit; and ``brightest``, whether
        the region with the highest mean does.
    """
    exams = manifest.exams if part is None else manifest.exams.filter(pl.col("split") == part)
    sought = manifest.findings.filter((pl.col("malignant") == 1) & pl.col("x0").is_not_null())
    sought = sought.join(exams.select("exam_id"), on="exam_id", how="semi")
    table = read_predictions(run.folder / PREDICTIONS)[0].filter(
        (pl.col("unit") == "region") & (pl.col("class") == "cancer")
    )
    regions = {str(key[0]): own for key, own in table.group_by("image_id", maintain_order=True)}
    rows = []
    for (patient_id, image_id), own in sought.group_by(
        "patient_id", "image_id", maintain_order=True
    ):
        here = regions[str(image_id)]
        boxes = here.select(BOX).to_numpy()
        findings = [(Box(*corners), 1) for corners in own.select(BOX).iter_rows()]
        hits = region_hits(boxes, findings)[0]
        bright = _brightness(store, str(image_id), boxes)
        rows.append(
            {
                "patient_id": patient_id,
                "image_id": image_id,
                "hit": hits[here["score"].arg_max()],
                "chance": hits.mean(),
                "brightest": hits[bright.argmax()],
            }
        )
    return pl.DataFrame(rows).sort("image_id")


def _brightness(
    store: Store, image_id: str, boxes: Float[np.ndarray, "region 4"]
) -> Float[np.ndarray, " region"]:
    """The mean of the levels in each box, which is in the stored frame."""
    levels = store.read(image_id).astype(np.float64)
    total = np.zeros((levels.shape[0] + 1, levels.shape[1] + 1))
    total[1:, 1:] = levels.cumsum(axis=0).cumsum(axis=1)
    ends = store.geometry(image_id).to_processed(boxes.reshape(-1, 2)).reshape(-1, 2, 2)
    limit = np.array(levels.shape[::-1])
    x0, y0 = np.clip(ends.min(axis=1).round(), 0, limit).astype(int).T
    x1, y1 = np.clip(ends.max(axis=1).round(), 0, limit).astype(int).T
    inside = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    return np.asarray(inside / np.maximum((x1 - x0) * (y1 - y0), 1))
