"""Metrics are records; the guide to adding one is run as it is printed."""

import re
from pathlib import Path

import numpy as np
import pytest

import fourview
from fourview.errors import EvaluationError
from fourview.evaluate import metrics
from fourview.evaluate.metrics import METRICS, MetricRecord, find_metric, label_of, register
from fourview.evaluate.protocols import PROTOCOLS
from fourview.evaluate.run import evaluate
from fourview.report.result_files import write_result
from scored_sets import scored_set

GUIDE = Path(__file__).parents[2] / "docs" / "adding_a_metric.md"


@pytest.fixture
def guide(monkeypatch):
    """What the guide's two files define."""
    monkeypatch.setattr(metrics, "METRICS", dict(METRICS))
    names = {}
    for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S):
        exec(compile(code, str(GUIDE), "exec"), names)
    return names


def test_the_printed_metric_has_its_value_its_interval_and_its_place_on_the_page(guide, tmp_path):
    manifest, table = scored_set()
    result = evaluate(table, manifest, guide["mine"], replicates=200, seed=3)
    gap = next(m for m in result.metrics if m.name == "mean_gap")
    joined = table.filter(unit="breast").join(manifest.breasts, on=["exam_id", "side"])
    by_class = [joined.filter(cancer=label)["score"].mean() for label in (0, 1)]
    assert gap.value == pytest.approx(by_class[1] - by_class[0], abs=1e-12)
    assert gap.low < gap.value < gap.high
    write_result(result, tmp_path)
    assert "Gap of the mean scores" in (tmp_path / "report.html").read_text()
    assert "mean_gap" in (tmp_path / "metrics.csv").read_text()


def test_its_interval_is_that_of_patients_drawn_by_hand(guide):
    """300 plain draws of 60 women: the ends agree to what so few draws can tell."""
    manifest, table = scored_set()
    result = evaluate(table, manifest, guide["mine"], replicates=2000)
    gap = next(m for m in result.metrics if m.name == "mean_gap")
    joined = table.filter(unit="breast").join(manifest.breasts, on=["exam_id", "side"])
    women = [part for _, part in joined.group_by("patient_id", maintain_order=True)]
    arrays = [(w["score"].to_numpy(), w["cancer"].to_numpy() == 1) for w in women]
    draw = np.random.default_rng(0)
    gaps = []
    for _ in range(300):
        drawn = [arrays[i] for i in draw.integers(0, len(arrays), len(arrays))]
        scores, positive = (np.concatenate(part) for part in zip(*drawn, strict=True))
        gaps.append(scores[positive].mean() - scores[~positive].mean())
    low, high = np.percentile(gaps, [2.5, 97.5])
    assert (gap.low, gap.high) == pytest.approx((low, high), abs=0.2 * (high - low))


@pytest.mark.parametrize("name", sorted({m for p in PROTOCOLS.values() for m in p.metrics}))
def test_every_metric_of_a_protocol_has_one_record_and_a_label(name):
    records = [record for record in METRICS.values() if record.number(name) is not None]
    assert records == [find_metric(name)]
    assert label_of(name) not in (name, "")
    assert "{" not in label_of(name)


def test_a_label_has_the_number_and_the_threshold():
    assert label_of("tnr_at_fnr_0.02") == "True-negative rate at miss rate 0.02"
    assert label_of("froc_sensitivity_at_0.5_fp") == "Share found at 0.5 false marks per image"
    assert label_of("sensitivity (youden)") == "Sensitivity at youden"
    assert label_of("somebody_elses") == "somebody_elses"


def test_a_name_that_there_is_not_and_one_that_there_is_are_refused():
    with pytest.raises(EvaluationError, match=r"no metric 'aurc'; did you mean 'auroc'\?"):
        find_metric("aurc")
    with pytest.raises(EvaluationError, match="metric 'auroc': there is one of that name"):
        register(MetricRecord(name="auroc", label="", compute=None))


def test_the_names_of_metrics_stand_in_one_file_beside_protocols_and_their_computation():
    package = Path(fourview.__file__).parent
    users = {p.name for p in package.rglob("*.py") if '"calibration_error"' in p.read_text()}
    assert users <= {"metrics.py", "measure.py", "protocols.py"}
