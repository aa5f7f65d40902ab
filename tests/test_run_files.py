"""Where things are in a run's folder, however somebody names it."""

from pathlib import Path

import pytest

import fourview
from fourview.checkpoint.card import read_card
from fourview.errors import CheckpointError
from fourview.run_files import (
    BEST,
    DEFAULT_MODEL,
    DESCRIPTION,
    OPERATING_POINTS,
    checkpoint_of,
    packaged_names,
)
from fourview.run_files import operating_points_of as points_of


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "a"
    (folder / BEST).mkdir(parents=True)
    (folder / BEST / DESCRIPTION).touch()
    (folder / OPERATING_POINTS).touch()
    return folder


def test_the_checkpoint_of_a_run_is_its_best_one_and_that_of_a_checkpoint_is_itself(run, tmp_path):
    assert checkpoint_of(run) == run / BEST
    assert checkpoint_of(run / BEST) == run / BEST
    assert checkpoint_of(tmp_path / "nothing") == tmp_path / "nothing"
    (run / BEST / DESCRIPTION).unlink()  # a run that was stopped before its first epoch ended
    assert checkpoint_of(run) == run


def test_thresholds_are_beside_the_checkpoint_or_in_its_run(run, monkeypatch):
    assert points_of(run / BEST) == run / OPERATING_POINTS
    monkeypatch.chdir(run / "checkpoints")
    assert points_of(Path("best")) == run / OPERATING_POINTS
    own = run / BEST / OPERATING_POINTS
    own.touch()
    assert points_of(run / BEST) == own


def test_thresholds_of_another_run_are_not_taken_for_an_exported_checkpoint(run):
    """Two folders up is a run only where the names say so."""
    exported = run / "exports" / "mine"
    exported.mkdir(parents=True)
    (exported / DESCRIPTION).touch()
    assert points_of(exported) is None


def test_the_names_stand_in_one_file():
    package = Path(fourview.__file__).parent
    for name in ('"operating_points.json"', '"checkpoints"', '"split.json"', '"model.safetensors"'):
        users = {p.name for p in package.rglob("*.py") if name in p.read_text()}
        others = {"vit_names.py"}  # Hugging Face names the file of its folders so, too
        assert users - others == {"run_files.py"}, name


def test_a_name_of_the_package_stands_for_its_checkpoint_unless_a_folder_has_it(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert packaged_names() == ["mvccl-small", "single_view-located"]
    assert DEFAULT_MODEL in packaged_names()
    assert (checkpoint_of(Path("mvccl-small")) / DESCRIPTION).exists()
    with pytest.raises(CheckpointError, match="did you mean 'mvccl-small'"):
        read_card(checkpoint_of(Path("mvcl-small")))
    Path("mvccl-small").mkdir()
    assert checkpoint_of(Path("mvccl-small")) == Path("mvccl-small")
