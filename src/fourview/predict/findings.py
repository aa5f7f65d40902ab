"""Findings with scores of their own: those that somebody names, else the context's best windows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fourview.entities import SIDES, Finding, Patch, ProcessedImage, Side
from fourview.feeds.pixels import ExamPixels
from fourview.geometry import Box
from fourview.localise.findings import RegionRule, findings_from_regions
from fourview.localise.peaks import ScoredRegion
from fourview.nn.regions import corners_in_pixels, greedy_patches, patch_cells
from fourview.predict.frozen import keep_maps
from fourview.predict.marks import Look
from fourview.predict.network import Network
from fourview.store.said import Said

RULE = RegionRule(threshold=0.0)  # the best, however low the network's scores are
PROPOSED = 3  # of a breast, where nobody names findings


def scored_findings(
    network: Network, findings: Sequence[Finding], pixels: ExamPixels, look: Look | None
) -> tuple[Finding, ...]:
    """Findings with their scores, best first, and the windows that they were scored by.

    Args:
        network: One that scores findings.
        findings: Findings with regions in the stored frame; without any, the context proposes some.
        pixels: Pixels of the exam.
        look: What the context says of them; None where no image could be read.

    Returns:
        The score is the mean over the images of the mean over the windows; None for a finding that
        is on no image that was read.
    """
    if look is None:
        return tuple(replace(finding, score=None) for finding in findings)
    said = Said({})
    keep_maps(said, look, network.first.card.recipe)
    chosen = tuple(findings) or _proposed(network, pixels, look)
    feed = network.feed_of_exam(pixels, findings=chosen, context=said)
    means: dict[str, list[float]] = {}
    patches: dict[str, list[Patch]] = {}
    for own in network.looks(feed, batch_size=max(1, len(feed))):
        assert own.output.finding_scores is not None
        scores = own.output.finding_scores[:, 0].tolist()
        for number, (sample, score) in enumerate(zip(own.samples, scores, strict=True)):
            (name,) = sample.findings
            means.setdefault(name, []).append(score)
            patches.setdefault(name, []).extend(_patches(own, number))
    scored = [
        replace(
            finding,
            score=float(np.mean(mean)) if (mean := means.get(finding.finding_id)) else None,
            patches=tuple(patches.get(finding.finding_id, ())),
        )
        for finding in chosen
    ]
    return tuple(sorted(scored, key=lambda f: -1.0 if f.score is None else f.score, reverse=True))


def _proposed(network: Network, pixels: ExamPixels, look: Look) -> tuple[Finding, ...]:
    """The windows of every breast that the context finds most suspicious."""
    assert look.output.maps is not None
    suspicious = look.output.maps[:, 0].float().cpu()
    side_px = sum(network.settings.sides) / 2
    return tuple(
        finding
        for side in SIDES
        for finding in propose(pixels.processed, suspicious, side, side_px=side_px, count=PROPOSED)
    )


def _patches(look: Look, number: int) -> list[Patch]:
    """The windows of one finding on one image, with the share of malignant among both natures."""
    patches, scores = look.batch.patches, look.output.patch_scores
    assert patches is not None and scores is not None
    own = patches.image == number
    malignant, benign = scores[own.to(scores.device), :2].unbind(dim=1)
    image_id = look.samples[number].images[0]
    geometry = look.pixels.geometry(image_id)
    values = (malignant / (malignant + benign)).tolist()
    return [
        Patch(image_id=image_id, box=geometry.box_to_stored(Box(*corners)), score=score)
        for corners, score in zip(patches.box[own].tolist(), values, strict=True)
    ]


def propose(
    images: Sequence[ProcessedImage],
    maps: Float[Tensor, "image grid_row grid_col"],
    side: Side,
    *,
    side_px: float,
    count: int,
) -> tuple[Finding, ...]:
    """The windows of a breast with the highest mean saliency, best first.

    Windows are chosen on each image in turn as GMIC chooses its patches: what one window covers no
    longer counts for the next. A window without any breast in it is left out.

    Args:
        images: Images of the exam; those of the other breast are passed over.
        maps: Maps of the suspicious class, of each image.
        side: Side of the breast.
        side_px: Side of a window, in processed pixels.
        count: Most windows to propose, and most to look at on each image.
    """
    regions: list[ScoredRegion] = []
    for image, values in zip(images, maps, strict=True):
        if image.view.side != side:
            continue
        size = (image.pixels.shape[0], image.pixels.shape[1])
        grid = (values.shape[0], values.shape[1])
        window = patch_cells(round(side_px), grid, size)
        cells = greedy_patches(values[None], window, count)
        ends = corners_in_pixels(cells + torch.tensor(window, device=cells.device), grid, size)
        firsts = corners_in_pixels(cells, grid, size)[0].tolist()
        for (row, col), (y0, x0), (y1, x1) in zip(
            cells[0].tolist(), firsts, ends[0].tolist(), strict=True
        ):
            if image.mask[y0:y1, x0:x1].any():
                part = values[row : row + window[0], col : col + window[1]]
                regions.append(
                    ScoredRegion(
                        image_id=image.image_id,
                        box=Box(x0, y0, x1, y1),
                        score=float(part.mean()),
                        geometry=image.geometry,
                    )
                )
    return findings_from_regions(regions, side, rule=RULE, max_findings=count)
