"""Where maps of language-image runs peak, on phantoms: on the finding, or elsewhere.

``Part`` holds the images of one part of the split with what is known of them. ``slice_hits`` looks
a finding of the CC view up in the columns of the MLO, ``sentence_hits`` the impression sentence
among an image's tokens; both give a row a finding or image, with what chance alone would find.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from fourview.captions.caption import Caption, load_template
from fourview.evaluate.auc import auroc
from fourview.feeds.kinds.captions import CaptionFeedConfig, prepare_captions
from fourview.geometry import Box
from fourview.manifest.manifest import read_manifest
from fourview.manifest.split import assign_split
from fourview.phantom.tables import unpack_mask
from fourview.predict.language import LanguageModel
from fourview.store.store import Store
from fourview.train.recipe import Recipe

AT_ONCE = 64  # images


class Part:
    """Phantoms with their split, and what is known of the images of a part.

    Args:
        manifest: Folder of ``fourview index``.
        store: Folder of ``fourview prepare``.
        recipe: Whose split.
        name: The part that is measured.
    """

    def __init__(self, manifest: Path, store: Path, recipe: Recipe, name: str = "test") -> None:
        split = recipe.split
        shares = {"train": split.train, "validation": split.validation, "test": split.test}
        self.name, self.feed = name, recipe.feed
        self.manifest = assign_split(read_manifest(manifest), shares, split.seed)
        self.store = Store.open(store)
        exams = self.manifest.exams.select("exam_id", "split")
        breasts = self.manifest.breasts.select("exam_id", "side", "birads", "density")
        self.images = self.manifest.images.join(exams, on="exam_id").join(
            breasts, on=["exam_id", "side"]
        )

    def of(self, name: str | None = None) -> pl.DataFrame:
        """Images of a part of the split; without a name, of the one that is measured."""
        return self.images.filter(pl.col("split") == (name or self.name))

    def pixels(self, images: list[str]) -> torch.Tensor:
        """In [0, 1]."""
        codes = self.store.read_many(images).astype(np.float32) / np.float32(65535)
        return torch.from_numpy(codes)[:, None]

    def findings(self) -> pl.DataFrame:
        """Malignant findings that can be seen, an image a row, each with its mask."""
        truth = pl.read_parquet(Path(self.manifest.root) / "truth" / "findings.parquet")
        seen = self.manifest.findings.filter(
            (pl.col("malignant") == 1) & pl.col("x0").is_not_null()
        )
        masks = truth.select("image_id", "finding_id", "mask")
        return seen.join(self.of().select("image_id", "view"), on="image_id").join(
            masks, on=["image_id", "finding_id"]
        )

    def box(self, row: dict[str, Any], image: str) -> Box:
        """A finding's box in processed pixels."""
        stored = Box(row["x0"], row["y0"], row["x1"], row["y1"])
        return self.store.geometry(image).box_to_processed(stored)

    def mask_points(self, row: dict[str, Any], image: str) -> np.ndarray:
        """Centres (x, y) in processed pixels of the stored pixels of a finding's mask."""
        x0, y0, x1, y1 = (int(row[k]) for k in ("x0", "y0", "x1", "y1"))
        rows, cols = np.nonzero(unpack_mask(row["mask"], y1 - y0, x1 - x0))
        stored = np.stack([cols + x0 + 0.5, rows + y0 + 0.5], axis=1)
        return self.store.geometry(image).to_processed(stored)


def pairs_of(part: Part) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Patients, and the rows by view of findings that both views of a breast show."""
    grouped = part.findings().group_by("patient_id", "finding_id", maintain_order=True)
    for (patient, _), rows in grouped:
        by_view = {row["view"]: row for row in rows.iter_rows(named=True)}
        if {"CC", "MLO"} <= set(by_view):
            yield str(patient), by_view


def slice_hits(model: LanguageModel, part: Part) -> pl.DataFrame:
    """For each finding in both views: columns between the best agreeing MLO column and its own."""
    rows, cols = model.model.super_patches
    height, width = part.store.spec.rows or 0, part.store.spec.cols or 0
    found = []
    for patient, views in pairs_of(part):
        images = [str(views[v]["image_id"]) for v in ("CC", "MLO")]
        pixels = part.pixels(images)
        with torch.inference_mode():
            agreement, _ = model.model.patch_to_slice(pixels[:1], pixels[1:])
        x, y = part.box(views["CC"], images[0]).center
        at = min(int(y * rows / height), rows - 1), min(int(x * cols / width), cols - 1)
        tissue = pixels[1, 0].unflatten(1, (cols, -1)).gt(0).float().mean(dim=(0, 2)) > 0.05
        cosines = agreement[0][at].masked_fill(~tissue, -2.0)
        truth = min(int(part.box(views["MLO"], images[1]).center[0] * cols / width), cols - 1)
        places = np.flatnonzero(tissue.numpy())
        apart = np.abs(places - truth)
        found.append(
            {
                "patient_id": patient,
                "hit": float(int(cosines.argmax()) == truth),
                "near": float(abs(int(cosines.argmax()) - truth) <= 1),
                "chance": float((apart == 0).mean()),
                "near_chance": float((apart <= 1).mean()),
                "same_column": float(at[1] == truth),
            }
        )
    return pl.DataFrame(found)


def sentence_hits(model: LanguageModel, part: Part) -> pl.DataFrame:
    """Whether the token most like the impression holds a pixel of a finding's mask; and by chance.

    Among the tokens whose middle lies in the breast.
    """
    findings = part.findings()
    images = findings["image_id"].unique(maintain_order=True).to_list()
    captions = _captions(part, images)
    tower = model.model.image_tower
    found = []
    for image, caption in captions.items():
        text = model.tokenizer.batch([caption.sentences], [0])
        pixels = part.pixels([image])
        with torch.inference_mode():
            maps = model.model.sentence_maps(pixels, text)[0]
        values = maps[caption.segments.index("impression")].numpy()
        middles = [np.arange(n) * tower.stride + tower.first_center for n in values.shape]
        inside = pixels[0, 0].numpy()[np.ix_(*(m.astype(int) for m in middles))] > 0
        on = np.zeros_like(inside)
        whose = findings.filter(pl.col("image_id") == image)
        for row in whose.iter_rows(named=True):
            x, y = part.mask_points(row, image).T
            places = [
                np.floor((at - tower.first_center) / tower.stride + 0.5).astype(int).clip(0, n - 1)
                for at, n in zip((y, x), values.shape, strict=True)
            ]
            on[tuple(places)] = True
        best = np.where(inside, values, -2.0).argmax()
        found.append(
            {
                "patient_id": str(whose["patient_id"][0]),
                "hit": float(on.flat[best]),
                "chance": float(on[inside].mean()),
            }
        )
    return pl.DataFrame(found)


def told_apart(model: LanguageModel, part: Part) -> float:
    """The area of whole images with a malignant finding against those without anything.

    The score is how much more an image is like the caption of BI-RADS 5 than like that of 1.
    """
    settings = part.feed
    assert isinstance(settings, CaptionFeedConfig)
    template = load_template(settings.template)
    asked = [
        template.prepare({"birads": birads}, settings.style, settings.segments or None)
        for birads in ("5", "1")
    ]
    texts = model.encode_texts([caption.caption().sentences for caption in asked])
    images = part.of().filter(pl.col("birads").is_in([1, 5]))
    names = images["image_id"].to_list()
    with torch.inference_mode():
        features = torch.cat(
            [
                model.model.image_features(part.pixels(names[start : start + AT_ONCE]))
                for start in range(0, len(names), AT_ONCE)
            ]
        )
    scores = features @ (texts[0] - texts[1])
    return auroc(scores.double().numpy(), images["birads"].to_numpy() == 5)


def _captions(part: Part, images: list[str]) -> dict[str, Caption]:
    """Captions as in training, with nothing hidden but the side."""
    settings = part.feed
    assert isinstance(settings, CaptionFeedConfig)
    prepared = prepare_captions(part.manifest, images, settings)
    hidden = settings.mask.draw(None)
    return {image: prepared[image].caption(hidden) for image in images if image in prepared}
