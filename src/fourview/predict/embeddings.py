"""Embeddings of images and captions as one Parquet file, with the model and its terms beside."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import polars as pl
import torch

from fourview.captions.caption import Style
from fourview.disk import table_ending, whole
from fourview.entities import Manifest
from fourview.errors import CaptionError, CheckpointError
from fourview.feeds.kinds.captions import prepare_captions
from fourview.predict.language import ImageEmbeddings, LanguageModel, Progress, about_model
from fourview.store.store import Store
from fourview.suggest import no_such

EMBEDDINGS = (".parquet",)  # a CSV has no place for lists and for the model's terms
KEYS = ("image_id", "patient_id", "exam_id", "side", "view")


def embed_manifest(
    model: LanguageModel,
    manifest: Manifest,
    store: Store,
    *,
    splits: Sequence[str] | None = None,
    style: str | None = None,
    template: str = "",
    batch_size: int = 8,
    workers: int = 0,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """One row per image, and one row per caption where ``style`` is given.

    An empty style or template is that of the captions that the model was trained with. Nothing is
    hidden but what its training always hid, such as the side; an image without density or BI-RADS
    has whatever else is known of it, and none where nothing is.

    Returns:
        kind (image, text), image_id, patient_id, exam_id, side, view, text, embedding of length 1.

    Raises:
        CaptionError: There is no such style.
        CheckpointError: The store holds other pixels than the model reads.
    """
    images = model.encode_images(
        manifest,
        store,
        splits=splits,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    table = _with_features(images.table, images.features, "image", [None] * len(images.table))
    if style is None:
        return table
    if style and style not in get_args(Style):
        raise CaptionError(no_such("caption style", style, get_args(Style)))
    settings = replace(model.captions, template=template or model.template, require=(), birads=())
    if style:
        settings = replace(settings, style=cast("Style", style), segments=())
    prepared = prepare_captions(manifest, images.table["image_id"].to_list(), settings)
    captions = {
        image: caption
        for image, each in prepared.items()
        if (caption := each.caption(settings.mask.draw(None))).sentences
    }
    distinct = list(dict.fromkeys(caption.sentences for caption in captions.values()))
    if not distinct:
        return table
    features = model.encode_texts(distinct, progress=progress)
    number = {sentences: place for place, sentences in enumerate(distinct)}
    own = images.table.filter(pl.col("image_id").is_in(list(captions)))
    own_captions = [captions[image] for image in own["image_id"]]
    chosen = features[torch.tensor([number[caption.sentences] for caption in own_captions])]
    return pl.concat(
        [table, _with_features(own, chosen, "text", [caption.text for caption in own_captions])]
    )


def write_embeddings(
    table: pl.DataFrame, path: Path, model: LanguageModel, manifest_hash: str
) -> None:
    """Write what ``embed_manifest`` gave as Parquet, whole or not at all, with the model's terms.

    Raises:
        FourviewError: The name does not end with .parquet.
    """
    table_ending(path, EMBEDDINGS)
    metadata = {**about_model(model), "manifest_hash": manifest_hash}
    with whole(path) as draft:
        table.write_parquet(draft, metadata=metadata)


def read_embeddings(path: Path, model: LanguageModel) -> ImageEmbeddings:
    """The images of a file that ``write_embeddings`` wrote with the same weights.

    Raises:
        CheckpointError: It is no such file, or was made with other weights.
    """
    if not path.exists():
        raise FileNotFoundError(2, "not found", str(path))
    try:
        metadata = pl.read_parquet_metadata(path)
        table = pl.read_parquet(path).filter(pl.col("kind") == "image")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: no embeddings ({reason}); write them anew") from None
    if metadata.get("model_digest") != model.card.digest:
        raise CheckpointError(
            f"{path}: embedded with other weights ({metadata.get('recipe', 'unknown')}); run: "
            "fourview embed with this run"
        )
    features = torch.tensor(table["embedding"].to_list(), dtype=torch.float32)
    return ImageEmbeddings(table.select(KEYS), features)


def _with_features(
    table: pl.DataFrame, features: torch.Tensor, kind: str, texts: Sequence[str | None]
) -> pl.DataFrame:
    return table.select(
        pl.lit(kind).alias("kind"),
        *KEYS,
        pl.Series("text", texts, dtype=pl.String),
        pl.Series("embedding", features.tolist(), dtype=pl.List(pl.Float32)),
    )
