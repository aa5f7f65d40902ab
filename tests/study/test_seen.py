"""Nobody is measured whom the start was trained on, whatever is given of its run."""

import json
import shutil
from dataclasses import replace

import pytest

from factory import drawn_store
from fourview.errors import TrainingError
from fourview.manifest.manifest import write_manifest
from fourview.models.clip.model import TINY as CLIP
from fourview.models.probe.model import TINY as PROBE
from fourview.run_files import BEST, SPLIT, checkpoint_of
from fourview.study.chain import Before, train_chain
from fourview.study.seen import trained_patients
from fourview.study.start import starting_from
from fourview.train.loop import Machine
from fourview.train.recipe import Recipe, SplitConfig
from fourview.train.run import train

PRETRAIN = Recipe(
    name="clip:tiny",
    family="clip",
    model=CLIP,
    pixel_spec="mvccl-192x96",
    stage="pretrain",
    unit="exam",
    batch=4,
    steps=1,
    split=SplitConfig(train=0.76, validation=0.04, test=0.2),
)
ASKED = SplitConfig(train=0.4, validation=0.2, test=0.4, seed=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    manifest, store = drawn_store(root, num_patients=24)
    labels = manifest.breasts.with_columns(birads=1, density=manifest.breasts["side"].replace(
        {"R": "A", "L": "B"}))  # fmt: skip
    manifest = replace(manifest, breasts=labels)
    write_manifest(manifest, root / "manifest")
    train(PRETRAIN, manifest, store, root / "run")
    shutil.copytree(root / "run" / BEST, root / "copy")
    return root, manifest, store


def probe(root, name, split=None, *, start):
    """A probe of a start, and where it is to be trained."""
    recipe = Recipe(
        name="probe:tiny", family="probe", model=PROBE, pixel_spec="mvccl-192x96", stage="linear",
        unit="exam", batch=2, steps=1,
    )  # fmt: skip
    if split is not None:
        recipe = replace(recipe, split=split)
    return starting_from(recipe, start), root / name


@pytest.mark.parametrize("given", ["run", f"run/{BEST}", "copy"])
def test_a_probe_divides_the_patients_as_its_start_did(data, tmp_path, given):
    root, manifest, store = data
    recipe, out = probe(tmp_path, "probe", start=root / given)
    said = []
    train_chain(
        recipe, manifest, store, out, resume=False, machine=Machine(), cache_bytes=0,
        before=Before(start=root / given), say=said.append,
    )  # fmt: skip
    assert any("0.76 train, 0.04 validation, 0.2 test" in line for line in said)
    parts = {place: json.loads((place / SPLIT).read_text()) for place in (out, root / "run")}
    assert parts[out] == parts[root / "run"]


@pytest.mark.parametrize("given", ["run", f"run/{BEST}", "copy"])
def test_a_probe_whose_test_patients_were_trained_on_is_refused(data, tmp_path, given):
    root, manifest, store = data
    recipe, out = probe(tmp_path, "probe", ASKED, start=root / given)
    with pytest.raises(
        TrainingError, match=r"was trained on \d+ of the patients that 'probe:tiny'"
    ):
        train_chain(
            recipe, manifest, store, out, resume=False, machine=Machine(), cache_bytes=0,
            before=Before(start=root / given),
        )  # fmt: skip


def test_of_a_copy_the_same_patients_are_known_as_of_the_run(data):
    root, manifest, _ = data
    want = set(json.loads((root / "run" / SPLIT).read_text())["train"])
    assert trained_patients(root / "run", manifest) == want
    assert trained_patients(root / "copy", manifest) == want
    other = replace(manifest, exams=manifest.exams.with_columns(age=50.0))
    assert trained_patients(root / "copy", other) is None
    assert checkpoint_of(root / "copy") == root / "copy"
