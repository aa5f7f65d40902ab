"""Stage heads: the encoder stays as it was given, and its codes stand in for pixels everywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from factory import drawn_store, exam_batch
from fourview.errors import TrainingError
from fourview.evaluate.table import read_predictions
from fourview.feeds.augment import NO_AUGMENTATION, AugmentConfig
from fourview.models.mvccl.model import TINY, Mvccl, other_views
from fourview.predict.reader import load_model
from fourview.run_files import WEIGHTS
from fourview.train.parts import TRAIN, feed_of_part, with_split
from fourview.train.recipe import OptimizerConfig, Recipe, SplitConfig
from fourview.train.run import train
from fourview.train.run_folder import read_log

EYES = Recipe(
    name="mvccl:tiny",
    family="mvccl",
    model=replace(TINY, encoder=replace(TINY.encoder, merge=2)),
    pixel_spec="mvccl-192x96",
    batch=4,
    epochs=1,
    optimizer=OptimizerConfig(lr=1e-2),
    augment=NO_AUGMENTATION,
    split=SplitConfig(train=0.5, validation=0.25, test=0.25),
)
HEADS = replace(
    EYES,
    name="mvccl:tiny_heads",
    model=replace(EYES.model, local="none", gcm=False, pooling="max"),
    stage="heads",
    seed=1,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Data, a run of a whole network, and one of heads on its encoder."""
    root = tmp_path_factory.mktemp("heads")
    data = drawn_store(root, num_patients=10)
    train(EYES, *data, root / "eyes")
    start = root / "eyes" / "checkpoints" / "best"
    train(HEADS, *data, root / "heads", start=start, cache_bytes=2**20)
    return data, root


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "best" / WEIGHTS)


def test_the_encoder_stays_to_the_bit_statistics_too_and_the_head_learns(runs):
    _, root = runs
    before, after = weights(root / "eyes"), weights(root / "heads")
    of_encoder = [name for name in after if name.startswith("encoder.")]
    assert any("running_mean" in name for name in of_encoder)
    for name in of_encoder:
        assert torch.equal(before[name], after[name]), name
    torch.manual_seed(HEADS.seed)
    fresh = Mvccl(HEADS.model).state_dict()
    assert not torch.equal(after["head.1.weight"], fresh["head.1.weight"])


def test_scores_from_codes_are_those_from_pixels(runs):
    """The run scored its parts from codes that were kept; a reader goes through the encoder."""
    (manifest, store), root = runs
    kept = read_predictions(root / "heads" / "predictions.parquet")[0]
    anew = load_model(root / "heads").predict_store(manifest, store)
    keys = ["image_id", "exam_id", "side", "class"]
    for unit in ("image", "breast"):
        both = kept.filter(pl.col("unit") == unit).join(
            anew.filter(pl.col("unit") == unit), on=keys, nulls_equal=True
        )
        assert len(both) > 4
        # the same float32 codes, but batches of other sizes
        np.testing.assert_allclose(both["score"], both["score_right"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_the_losses_are_those_of_a_loop_over_pixels(runs, tmp_path, cache_bytes):
    """The first step: the network as it begins, on the pixels of the samples it was given."""
    (manifest, store), root = runs
    start = root / "eyes" / "checkpoints" / "best"
    recipe = replace(HEADS, optimizer=OptimizerConfig(lr=0.0), model=replace(TINY, gcm=False))
    recipe = replace(recipe, model=replace(recipe.model, encoder=EYES.model.encoder))
    train(recipe, manifest, store, tmp_path / "run", start=start, cache_bytes=cache_bytes)
    model = Mvccl(recipe.model).eval()
    model.load_state_dict(weights(tmp_path / "run"))
    first = next(line for line in read_log(tmp_path / "run") if line["kind"] == "step")
    feed = feed_of_part(with_split(manifest, recipe, store), store, recipe, TRAIN)
    order = feed.order(seed=recipe.seed, epoch=0)[: recipe.batch]
    losses = []
    for index in order:
        batch = feed.collate([feed.read(index)])
        with torch.no_grad():
            probability = model(batch).image_scores[:, 0].double()
        for p, y in zip(probability, batch.target_of_images("cancer"), strict=True):
            losses.append(-float(torch.log(p if y == 1 else 1 - p)))
    assert first["loss"] == pytest.approx(np.mean(losses), rel=1e-4)  # float32


def test_changes_of_images_are_refused_as_codes_would_not_follow(runs, tmp_path):
    data, root = runs
    recipe = replace(HEADS, augment=AugmentConfig())
    with pytest.raises(TrainingError, match="augment"):
        train(recipe, *data, tmp_path / "run", start=root / "eyes" / "checkpoints" / "best")


def test_a_batch_of_codes_keeps_them_beside_their_images():
    batch = exam_batch("0123", "02")
    codes = torch.arange(6.0).reshape(6, 1, 1, 1)
    some = replace(batch, codes=codes).select(torch.tensor([4, 1]))
    assert some.codes is not None
    assert some.codes.flatten().tolist() == [4.0, 1.0]


def test_max_pooling_joins_the_greatest_of_each_view():
    torch.manual_seed(0)
    net = Mvccl(HEADS.model).double().eval()
    batch = exam_batch("02", "1")
    grid = torch.randn(3, 8, 4, 2, dtype=torch.float64)
    with torch.no_grad():
        got = net.read(grid, batch).logits
        for main, other in ((0, 1), (1, 0), (2, 2)):
            vectors = [[float(grid[i, d].max()) for d in range(8)] for i in (main, other)]
            want = net.head(torch.tensor([vectors[0] + vectors[1]], dtype=torch.float64))
            torch.testing.assert_close(got[main], want[0].float())
    assert other_views(batch)[1].tolist() == [False, False, True]
