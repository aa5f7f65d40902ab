"""Language-image models in use: zero-shot scores, embeddings, search by text.

Any family serves whose model is a ``contract.LanguageImageModel``. A distinct text is encoded once,
however many images it is compared with.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from fourview.captions.caption import caption_facts, load_template
from fourview.captions.prompts import make_prompts
from fourview.checkpoint.card import ModelCard, load_checkpoint
from fourview.contract import LanguageImageModel, ModelOutput
from fourview.entities import PREDICTIONS_SCHEMA, SIDES, SLOTS, Manifest
from fourview.errors import CheckpointError
from fourview.feeds.batches import batches
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.feeds.kinds.exams import ExamFeed
from fourview.feeds.samples import Sample, make_samples
from fourview.nn.tokenizer import Tokenizer
from fourview.predict.table import prediction_rows
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.run_files import TEMPLATE, checkpoint_of
from fourview.store.store import Store

Progress = Callable[[str, int, int], None]
TEXTS_AT_ONCE = 64  # texts that are encoded together


@dataclass(frozen=True, slots=True)
class ImageEmbeddings:
    """Features of length 1 of images, with whose they are.

    Attributes:
        table: image_id, patient_id, exam_id, side, view; one row per image.
        features: Features in the order of the table.
    """

    table: pl.DataFrame
    features: Float[Tensor, "image dim"]


class LanguageModel:
    """A language-image network with its card, ready to compare images with texts.

    Attributes:
        card: What travels with the weights.
        spec: The pixels it reads.
        captions: Settings of the captions that it was trained with; prompts are worded likewise.
        template: File with their words; empty is the package's.

    Args:
        model: The network.
        card: Card of its checkpoint.
        template: File with the words of its captions; empty takes the package's.
        device: Where to compute.
    """

    def __init__(
        self, model: nn.Module, card: ModelCard, *, template: str = "", device: str = "cpu"
    ) -> None:
        if not isinstance(model, LanguageImageModel):
            raise CheckpointError(
                f"{card.recipe} compares no images with texts; name the run of a language-image "
                "family"
            )
        self.card, self.device = card, torch.device(device)
        self.spec: PixelSpec = pixel_spec(card.pixel_spec)
        self.model: LanguageImageModel = model.to(device).eval()
        self.captions, self.template = _captions_of(card), template
        longest = self.captions.tokenizer.max_tokens
        self.tokenizer = Tokenizer(replace(self.model.text_tower.tokenizer, max_tokens=longest))

    def encode_texts(
        self, texts: Sequence[Sequence[str]], *, progress: Progress | None = None
    ) -> Float[Tensor, "text dim"]:
        """Features of texts (lists of sentences), on the CPU; each is computed once.

        Longer texts go together, so that little padding is computed.
        """
        order = sorted(range(len(texts)), key=lambda i: sum(len(s) for s in texts[i]))
        features: list[Tensor] = []
        for start in range(0, len(order), TEXTS_AT_ONCE):
            chosen = order[start : start + TEXTS_AT_ONCE]
            batch = self.tokenizer.batch([texts[i] for i in chosen], [0] * len(chosen))
            with torch.inference_mode():
                features.append(self.model.text_features(batch.to(self.device)).float().cpu())
            if progress is not None:
                progress("texts", start + len(chosen), len(order))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(features)[back]

    def encode_images(
        self,
        manifest: Manifest,
        store: Store,
        *,
        splits: Sequence[str] | None = None,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> ImageEmbeddings:
        """Features of all images of a manifest that fill a slot and are in a store.

        Raises:
            CheckpointError: The store holds other pixels than the model was trained on.
        """
        rows: list[dict[str, Any]] = []
        parts: list[Tensor] = []
        for samples, features in self._batches(manifest, store, splits, batch_size, workers):
            rows += [row for sample in samples for row in _image_rows(sample)]
            parts.append(features)
            if progress is not None:
                progress("images", len(rows), len(store))
        schema = dict.fromkeys(("image_id", "patient_id", "exam_id", "side", "view"), pl.String)
        if not parts:
            raise CheckpointError("no image of the manifest is in the store; prepare it first")
        return ImageEmbeddings(pl.DataFrame(rows, schema=schema), torch.cat(parts))

    def zero_shot(
        self,
        manifest: Manifest,
        store: Store,
        prompts: str,
        *,
        template: str = "",
        splits: Sequence[str] | None = None,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """Predictions of images and breasts from a prompt set, with nothing trained.

        Scores are the softmax over a set's classes of cosine times the learned scale, taken once; a
        breast has the mean of its images' scores. A set without a style of its own is asked in the
        style, segments and words of the captions that the model was trained with.

        Args:
            manifest: Manifest of the images, and of what is known of them.
            store: Their pixels.
            prompts: Name of a prompt set of the template.
            template: File with captions and prompts; empty takes the model's own.
            splits: Only these parts; None takes all.
            batch_size: Exams at a time.
            workers: Processes that read the store.
            progress: Called with what is done, how much, and of how much.

        Raises:
            CaptionError: There is no such prompt set, or the model's captions never told its
                classes.
            CheckpointError: The store holds other pixels than the model was trained on.
        """
        samples = self._samples(manifest, store, splits)
        images = [image for sample in samples for image in sample.images]
        words = load_template(template or self.template)
        made = make_prompts(
            words,
            prompts,
            caption_facts(manifest, words.columns),
            images,
            hidden=self.captions.mask.draw(None),
            style=self.captions.style,
            segments=self.captions.segments,
        )
        texts = self.encode_texts(made.texts, progress=progress)
        scale = self.model.logit_scale.detach().exp().float().cpu()
        columns = [made.classes.index(name) for name in made.scores]
        which = torch.from_numpy(made.which)
        rows: list[dict[str, Any]] = []
        done = 0
        for some, features in self._batches(manifest, store, splits, batch_size, workers):
            own = texts[which[done : done + len(features)]]
            cosines = torch.einsum("id,ikd->ik", features, own)
            scores = (scale * cosines).softmax(dim=1)[:, columns]
            rows += prediction_rows(some, _by_breast(scores, some), made.scores)
            done += len(features)
            if progress is not None:
                progress("images", done, len(images))
        return pl.DataFrame(rows, schema=PREDICTIONS_SCHEMA)

    def _samples(
        self, manifest: Manifest, store: Store, splits: Sequence[str] | None
    ) -> list[Sample]:
        if store.fingerprint != self.spec.fingerprint:
            raise CheckpointError(
                f"the store holds {store.spec.name} {store.fingerprint}, {self.card.recipe} reads "
                f"{self.spec.name} {self.spec.fingerprint}; run: fourview prepare MANIFEST "
                f"--spec {self.spec.name} -o STORE"
            )
        return make_samples(
            manifest, classes={}, splits=splits, in_store=store.table["image_id"].to_list()
        )

    def _batches(
        self,
        manifest: Manifest,
        store: Store,
        splits: Sequence[str] | None,
        batch_size: int,
        workers: int,
    ) -> Iterator[tuple[list[Sample], Float[Tensor, "image dim"]]]:
        feed = ExamFeed(self._samples(manifest, store, splits), store)
        for samples, batch in batches(feed, batch_size, workers=workers):
            with torch.inference_mode():
                features = self.model.image_features(batch.pixels.to(self.device))
            yield samples, features.float().cpu()


def load_language_model(run: Path | str, *, device: str = "cpu") -> LanguageModel:
    """The language-image model of a run or checkpoint folder.

    Raises:
        CheckpointError: There is no checkpoint, it does not fit, or it is of another kind.
    """
    folder = checkpoint_of(Path(run))
    model, card, _ = load_checkpoint(folder)
    template = str(folder / TEMPLATE) if (folder / TEMPLATE).exists() else ""
    if card.feed.get("template") and not template:
        raise CheckpointError(
            f"{folder}: {card.recipe} was trained with captions of {card.feed['template']}, and "
            f"there is no {TEMPLATE}; copy that file there under this name"
        )
    return LanguageModel(model, card, template=template, device=device)


def _captions_of(card: ModelCard) -> CaptionFeedConfig:
    """Settings of the captions that a model was trained with; the usual ones of a converted one.

    Raises:
        CheckpointError: The card says something else.
    """
    try:
        return TypeAdapter(CaptionFeedConfig).validate_python(card.feed)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(
            f"{card.recipe}: its card is damaged: feed.{where}: {first['msg']}"
        ) from error


def sentences_of(query: str) -> tuple[str, ...]:
    """The sentences of a typed text, which end at points, semicolons and line ends."""
    sentences = tuple(part.strip(" .") for part in re.split(r"\.\s|[;\n]", query))
    return tuple(part for part in sentences if part)


def rank_images(
    embeddings: ImageEmbeddings, query: Float[Tensor, " dim"], *, top: int | None = None
) -> pl.DataFrame:
    """Images by falling cosine with a text: the table's columns, with ``rank`` from 1 and cosine.

    Equal cosines keep the order of the images.
    """
    cosines = (embeddings.features @ query).double().numpy()
    ranked = embeddings.table.with_columns(cosine=pl.Series(cosines)).sort(
        "cosine", descending=True, maintain_order=True
    )
    return ranked.with_row_index("rank", offset=1).head(top or len(ranked))


def about_model(model: LanguageModel) -> Mapping[str, str]:
    """What is written beside what a model made."""
    card = model.card
    return {
        "model_digest": card.digest,
        "recipe": card.recipe,
        "pixel_spec": f"{model.spec.name} {model.spec.fingerprint}",
        "terms": card.terms,
        "caution": card.caution,
        "may_release": "true" if card.may_release else "false",
    }


def _by_breast(scores: Float[Tensor, "image class"], samples: Sequence[Sample]) -> ModelOutput:
    """The scores of images, and their mean by breast over all its images."""
    sides = torch.tensor(
        [
            2 * exam + SIDES.index(SLOTS[slot][0])
            for exam, sample in enumerate(samples)
            for slot in sample.slots
        ]
    )
    empty = scores.new_full((2 * len(samples), scores.shape[1]), torch.nan)
    place = sides[:, None].expand_as(scores)
    mean = empty.scatter_reduce(0, place, scores, reduce="mean", include_self=False)
    return ModelOutput(
        image_scores=scores, breast_scores=mean.reshape(len(samples), 2, scores.shape[1])
    )


def _image_rows(sample: Sample) -> Iterator[dict[str, str]]:
    for image, slot in zip(sample.images, sample.slots, strict=True):
        side, _, view = SLOTS[slot].partition("-")
        yield {
            "image_id": image,
            "patient_id": sample.patient_id,
            "exam_id": sample.exam_id,
            "side": side,
            "view": view,
        }
