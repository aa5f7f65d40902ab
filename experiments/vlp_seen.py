"""What language-image runs see on phantoms, and where the truth has the findings.

``Seen`` holds a run's network, the images of a part of a manifest, and the masks of their findings
on the network's tokens. A *token* is a cell of the image tower's grid; a *cell* here is a block of
tokens, a super-patch of GLAM.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from fourview.captions.caption import load_template
from fourview.entities import Manifest
from fourview.phantom.tables import unpack_mask
from fourview.predict.language import load_language_model
from fourview.store.store import Store

AT_ONCE = 64  # images
PROBED = 200  # images of the training part that the supervised probe learns from
MALIGNANT, NEGATIVE = "5", "1"  # BI-RADS
Grids = Bool[np.ndarray, "image row col"]
Maps = Float[np.ndarray, "image row col"]


class Run(Protocol):
    """A finished run."""

    @property
    def folder(self) -> Path:
        """Its folder."""


class Seen:
    """See the module docstring.

    Args:
        run: A finished run of a language-image family.
        manifest: Of phantoms, with its split.
        store: Their pixels.
        part: Of the split; None takes all.
    """

    def __init__(self, run: Run, manifest: Manifest, store: Store, part: str | None) -> None:
        self.language = load_language_model(run.folder)
        self.model: Any = self.language.model
        self.manifest, self.store, self.part = manifest, store, part

    @cached_property
    def all_images(self) -> pl.DataFrame:
        """Images of all parts with what is known of their breast."""
        exams = self.manifest.exams.select("exam_id", "split")
        breasts = self.manifest.breasts.select("exam_id", "side", "birads", "cancer")
        joined = self.manifest.images.join(exams, on="exam_id", maintain_order="left")
        return joined.join(breasts, on=["exam_id", "side"], maintain_order="left")

    def images(self, part: str | None = None) -> pl.DataFrame:
        """Those of a part; without a name, of the part that is measured."""
        wanted = part or self.part
        kept = pl.lit(True) if wanted is None else pl.col("split") == wanted
        return self.all_images.filter(kept)

    def findings(self, part: str | None = None) -> pl.DataFrame:
        """Malignant findings that can be seen, a row for each and image, with mask and view."""
        truth = pl.read_parquet(Path(self.manifest.root) / "truth" / "findings.parquet")
        kept = self.manifest.findings.filter(
            (pl.col("malignant") == 1) & pl.col("x0").is_not_null()
        )
        places = self.images(part).select("image_id", "view")
        masks = truth.select("image_id", "finding_id", "mask")
        joined = kept.join(places, on="image_id", maintain_order="left")
        return joined.join(masks, on=["image_id", "finding_id"], maintain_order="left")

    def pixels(self, images: Sequence[str]) -> Float[Tensor, "image 1 row col"]:
        """In [0, 1]."""
        codes = self.store.read_many(images).astype(np.float32) / np.float32(65535)
        return torch.from_numpy(codes)[:, None]

    def tokens(self, images: Sequence[str]) -> Float[Tensor, "image row col dim"]:
        """What the image tower makes of each place."""
        found = [self._tower(pixels).tokens for pixels in self._batches(images)]
        rows, cols = self.grid
        return torch.cat(found).unflatten(1, (rows, cols))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the tokens."""
        stride = self.model.image_tower.stride
        rows, cols = self.store.spec.rows or 0, self.store.spec.cols or 0
        return -(-rows // stride), -(-cols // stride)

    def inside(self, images: Sequence[str]) -> Grids:
        """Tokens whose middle lies in the breast."""
        tower = self.model.image_tower
        at = [(np.arange(n) * tower.stride + tower.first_center).astype(int) for n in self.grid]
        kept = [(pixels[:, 0].numpy() > 0)[:, *np.ix_(*at)] for pixels in self._batches(images)]
        return np.concatenate(kept)

    def covered(self, findings: pl.DataFrame) -> Int[np.ndarray, "finding row col"]:
        """Stored pixels of each finding's mask on each token."""
        counts = np.zeros((len(findings), *self.grid), dtype=np.int64)
        for count, row in zip(counts, findings.iter_rows(named=True), strict=True):
            x0, y0, x1, y1 = (int(row[k]) for k in ("x0", "y0", "x1", "y1"))
            rows, cols = np.nonzero(unpack_mask(row["mask"], y1 - y0, x1 - x0))
            stored = np.stack([cols + x0 + 0.5, rows + y0 + 0.5], axis=1)
            x, y = self.store.geometry(row["image_id"]).to_processed(stored).T
            np.add.at(count, (self._token(y, 0), self._token(x, 1)), 1)
        return counts

    def _token(self, at: Float[np.ndarray, " point"], axis: int) -> Int[np.ndarray, " point"]:
        """The token that looks at each place; it is centred on its first center."""
        tower = self.model.image_tower
        nearest = np.floor((at - tower.first_center) / tower.stride + 0.5).astype(int)
        return nearest.clip(0, self.grid[axis] - 1)

    # ------------------------------------------------------------------ maps of a sentence

    def own_maps(self, images: Sequence[str]) -> Maps:
        """Of the impression sentence by the local heads; without them, of the caption."""
        if not self.model.has_sentence_maps:
            return self.caption_maps(images)
        caption = self._caption(MALIGNANT)
        found = []
        for pixels in self._batches(images):
            texts = self.language.tokenizer.batch(
                [caption.sentences] * len(pixels), list(range(len(pixels)))
            )
            with torch.inference_mode():
                maps = self.model.sentence_maps(pixels, texts)
            found.append(maps[:, caption.segments.index("impression")].numpy())
        return np.concatenate(found)

    def caption_maps(self, images: Sequence[str], *, less_negative: bool = False) -> Maps:
        """Cosines of tokens with the caption of BI-RADS 5, both through the global heads.

        Args:
            images: Whose.
            less_negative: Less the cosine with the caption of BI-RADS 1.
        """
        texts = self.texts()
        wanted = texts[0] - texts[1] if less_negative else texts[0]
        with torch.inference_mode():
            tokens = normalize(self.model.image_head(self.tokens(images)), dim=-1)
            return (tokens @ wanted).numpy()

    def probe_maps(self, images: Sequence[str]) -> Maps:
        """Of a linear probe of single tokens that was shown masks of the training part."""
        learned = self._probe
        tokens = self.tokens(images).numpy()
        return learned.decision_function(tokens.reshape(-1, tokens.shape[-1])).reshape(
            tokens.shape[:3]
        )

    @cached_property
    def _probe(self) -> Any:
        findings = self.findings("train").head(PROBED)
        images = findings["image_id"].to_list()
        inside = self.inside(images)
        tokens, known = self.tokens(images).numpy()[inside], self.covered(findings)[inside] > 0
        probe = make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=500)
        )
        return probe.fit(tokens, known)

    def texts(self) -> Float[Tensor, "caption dim"]:
        """Features of the captions of BI-RADS 5 and 1."""
        return self.language.encode_texts(
            [self._caption(birads).sentences for birads in (MALIGNANT, NEGATIVE)]
        )

    def _caption(self, birads: str) -> Any:
        """As it was told in training; nothing in it differs between images but BI-RADS."""
        settings = self.language.captions
        template = load_template(self.language.template or settings.template)
        prepared = template.prepare({"birads": birads}, settings.style, settings.segments or None)
        return prepared.caption()

    # ------------------------------------------------------------------ one view and the other

    def malignancy(self, images: Sequence[str]) -> Float[np.ndarray, " image"]:
        """Probability of the caption of BI-RADS 5 against that of BI-RADS 1."""
        texts = self.texts()
        found = []
        for pixels in self._batches(images):
            with torch.inference_mode():
                features = self.model.image_features(pixels)
                apart = features @ (texts[0] - texts[1])
                found.append((apart * self.model.logit_scale.exp()).sigmoid().double().numpy())
        return np.concatenate(found)

    def attention(
        self, cc: Float[Tensor, "breast row col dim"], mlo: Float[Tensor, "breast row col dim"]
    ) -> Float[np.ndarray, "breast row col column other_row"]:
        """What each super-patch of CC attends to in each column of MLO."""
        with torch.inference_mode():
            grids = self.model.super_patch_grids(cc, mlo)
            return self.model.slices.agreement(*grids)[1].numpy()

    def _tower(self, pixels: Float[Tensor, "image 1 row col"]) -> Any:
        with torch.inference_mode():
            return self.model.image_tower(pixels)

    def _batches(self, images: Sequence[str]) -> Iterator[Float[Tensor, "image 1 row col"]]:
        for start in range(0, len(images), AT_ONCE):
            yield self.pixels(images[start : start + AT_ONCE])


def in_cells(
    tokens: Int[np.ndarray, "many row col"], cells: tuple[int, int]
) -> Int[np.ndarray, "many cell_row cell_col"]:
    """Sums over blocks of tokens, of which ``cells`` is the number down and across."""
    down, across = (n // c for n, c in zip(tokens.shape[1:], cells, strict=True))
    blocks = tokens[:, : down * cells[0], : across * cells[1]]
    return blocks.reshape(len(blocks), cells[0], down, cells[1], across).sum(axis=(2, 4))


def mean_cells(
    tokens: Float[Tensor, "many row col dim"], cells: tuple[int, int]
) -> Float[Tensor, "many cell_row cell_col dim"]:
    """Means over the same blocks."""
    sides = tuple(n // c for n, c in zip(tokens.shape[1:3], cells, strict=True))
    return avg_pool2d(tokens.permute(0, 3, 1, 2), sides).permute(0, 2, 3, 1)


def strangers(patients: Sequence[str], kinds: Sequence[str]) -> list[int]:
    """For each unit the next one, around the end, of another patient and of the same kind."""
    count = len(patients)
    return [
        next(
            place
            for place in ((here + step) % count for step in range(1, count))
            if patients[place] != patients[here] and kinds[place] == kinds[here]
        )
        for here in range(count)
    ]
