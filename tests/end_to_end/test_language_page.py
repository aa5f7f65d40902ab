"""The commands of docs/language_image.md as they are printed: pre-train, ask, probe, fine-tune."""

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from fourview.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "language_image.md"
COMMANDS = re.findall(r"^\$ fourview (.*)$", PAGE.read_text(), flags=re.MULTILINE)


def run(command: str) -> int:
    """A command in this process, as a person types it; its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command))
    code = stop.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.slow
def test_the_commands_of_the_page_run_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = {}
    for command in COMMANDS:
        code = run(command)
        said[command] = "".join(capsys.readouterr())
        assert code == 0, (command, said[command])
    trained = next(text for command, text in said.items() if "glam:phantom" in command)
    assert re.search(r"breast fills \d+ of 36 super-patches", trained)
    asked = pl.read_parquet("zero.parquet")
    assert set(asked["class"]) == set("ABCD")
    assert not any("trained on" in text for command, text in said.items() if "predict" in command)
    for name in ("zero", "zero-views", "linear-1/result", "linear-10/result", "linear-100/result",
                 "tuned/result"):  # fmt: skip
        result = json.loads((tmp_path / name / "result.json").read_text())
        values = {metric["name"]: metric["value"] for metric in result["metrics"]}
        assert 0 <= values["balanced_accuracy"] <= 1 and 0 <= values["macro_auroc"] <= 1
        assert not any("without a split" in note for note in result["notes"])
    splits = [json.loads((tmp_path / run_ / "split.json").read_text())
              for run_ in ("RUN", "linear-1", "linear-100", "tuned")]  # fmt: skip
    assert all(split == splits[0] for split in splits)
    heatmaps = [(image, heatmap["class_name"]) for image in _images(tmp_path / "report-at")
                for heatmap in image["heatmaps"]]  # fmt: skip
    told = {name for _, name in heatmaps if ", at L-" in name}
    assert len(told) == 4  # from both views, on both views


def _images(folder: Path) -> list[dict]:
    (path,) = folder.rglob("result.json")
    images: list[dict] = json.loads(path.read_text())["images"]
    return images
