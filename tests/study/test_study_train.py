"""When a run of a study may begin."""

import pytest

from fourview.errors import StudyError
from fourview.study.study import load_study
from fourview.study.study_runs import run_of
from fourview.study.study_train import _prepared

TEXT = """
name = "chain"
title = "Chain"
question = "Which first?"
seeds = [0]
[data.train]
phantom = { preset = "miniature", exams = 4, seed = 1 }
[rows.base]
recipe = "mvccl:mini_single"
[rows.tuned]
recipe = "mvccl:mini_single"
start = "base"
[[measures]]
name = "AUC"
protocol = "screening-breast-v1"
"""


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "chain.toml"
    path.write_text(TEXT)
    study = load_study(path, {})[0]
    return study, tmp_path / "out", run_of(study, tmp_path / "out", "tuned", 0)


def test_a_run_waits_for_what_it_starts_from(chain):
    study, out, run = chain
    assert _prepared(study, out, {}, {}, {}, run) is None


def test_a_run_fails_with_what_it_starts_from(chain):
    study, out, run = chain
    with pytest.raises(StudyError, match="needs base-0, which failed"):
        _prepared(study, out, {}, {"base-0": "no memory"}, {}, run)


def test_a_start_without_its_checkpoint_is_said(chain):
    study, out, run = chain
    base = run_of(study, out, "base", 0)
    base.folder.mkdir(parents=True)
    base.marker.write_text("{}")
    with pytest.raises(StudyError, match="its checkpoint is gone; remove"):
        _prepared(study, out, {}, {}, {}, run)
