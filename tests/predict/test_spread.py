"""Several processes give the scores of one, also when a worker is killed under them."""

from functools import partial
from pathlib import Path

import imagecodecs
import polars as pl
import pytest

from fourview.entities import PREDICTIONS_SCHEMA
from fourview.errors import FourviewError
from fourview.jobs.executor import LocalExecutor, RayExecutor
from fourview.manifest.manifest import make_manifest, write_manifest
from fourview.predict.reader import load_model
from fourview.predict.spread import BATCHES, Spread, predict_spread
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.store import Store
from job_examples import killed_once
from mammogram_examples import breast_pixels

SMALL = Path("mvccl-small")  # of the package
KEYS = [name for name in PREDICTIONS_SCHEMA if name != "score"]


class Deadly:
    """An executor whose first worker is killed at its work."""

    def __init__(self, executor, folder):
        self.executor, self.folder = executor, folder

    def run(self, function, jobs, *, timeout_s):
        function = partial(killed_once, self.folder, function)
        return self.executor.run(function, jobs, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Exams for two parts, two of them in no split, and the scores that one process gives."""
    root = tmp_path_factory.mktemp("scored")
    rows = []
    for number in range(BATCHES + 4):
        pixels, _ = breast_pixels(208, 160, seed=number, noise=2)
        (root / f"{number:02d}.png").write_bytes(imagecodecs.png_encode(pixels))
        ids = dict.fromkeys(("patient_id", "exam_id", "image_id"), f"{number:02d}")
        rows.append(ids | {"side": "L", "view": "CC", "path": f"{number:02d}.png"})
    exams = [
        {"patient_id": row["patient_id"], "exam_id": row["exam_id"], "split": split}
        for row, split in zip(rows, [None, None, *["test"] * (BATCHES + 2)], strict=True)
    ]
    manifest = make_manifest(
        source="test", root=root, images=pl.DataFrame(rows), exams=pl.DataFrame(exams), terms=""
    )
    write_manifest(manifest, root / "manifest")
    prepare(manifest, pixel_spec("mvccl-192x96"), root / "store")
    store = Store.open(root / "store")
    what = Spread(
        (SMALL,), root / "manifest", (root / "store",), ("test",), exact=True, batch_size=1
    )
    return what, load_model(SMALL).predict_store(manifest, store, splits=["test"], batch_size=1)


def require_same(table, expected):
    assert table.select(KEYS).equals(expected.select(KEYS))
    # One thread a worker sums in another order than two: a few steps of float32.
    assert (table["score"] - expected["score"]).abs().max() < 1e-5


def test_a_worker_that_is_killed_changes_no_score(scored, tmp_path):
    what, expected = scored
    seen = []
    table, way = predict_spread(
        what, Deadly(LocalExecutor(2), tmp_path), progress=lambda *done: seen.append(done)
    )
    require_same(table, expected)
    assert (tmp_path / "killed").exists()
    assert way == "float32 on cpu"
    assert seen[-1] == (BATCHES + 2, BATCHES + 2)


@pytest.mark.filterwarnings("ignore")  # Ray's own, of its dependencies and its sockets
@pytest.mark.xdist_group("ray")  # in one process, so that one cluster is started
@pytest.mark.usefixtures("cluster")
def test_a_ray_worker_that_is_killed_changes_no_score(scored, tmp_path):
    what, expected = scored
    require_same(predict_spread(what, Deadly(RayExecutor(2), tmp_path))[0], expected)
    assert (tmp_path / "killed").exists()


def test_exams_that_cannot_be_scored_are_named_with_the_reason(scored, tmp_path):
    what, _ = scored
    wrong = Spread(
        (tmp_path / "no_run",), what.manifest, what.store, what.splits, exact=True, batch_size=1
    )
    with pytest.raises(FourviewError, match=r"exams '0\d' to '\d\d': CheckpointError: .*no_run"):
        predict_spread(wrong, LocalExecutor(1))


def test_no_exam_gives_an_empty_table(scored):
    what, _ = scored
    nobody = Spread((SMALL,), what.manifest, what.store, ("train",), exact=True, batch_size=1)
    table, _ = predict_spread(nobody, LocalExecutor(1))
    assert table.is_empty() and table.columns == list(PREDICTIONS_SCHEMA)
