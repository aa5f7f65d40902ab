"""Whole numbers of options are refused as usage where they are too small."""

import pytest

from fourview.cli.main import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "m", "--workers", "0"],
        ["index", "f", "--source", "dicom", "-o", "m", "--workers", "-1"],
        ["prepare", "m", "--spec", "mvccl-192x96", "-o", "s", "--workers", "-1"],
    ],
)
def test_a_number_that_means_nothing_is_usage(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert arguments[-2] in "".join(capsys.readouterr())
    assert not list(tmp_path.iterdir())
