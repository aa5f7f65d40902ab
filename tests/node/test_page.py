"""docs/node.md: the settings that it prints can be read, and it names every key that there is."""

import re
from pathlib import Path

import pytest

from fourview.node.settings import Caller, Destination, NodeSettings, Pull, Tls, read_settings

PAGE = Path(__file__).parents[2] / "docs" / "node.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="needs a checkout, not a wheel")


def test_the_first_settings_are_read_as_they_are_printed(tmp_path):
    text = re.search(r"<<'END'\n(.*?)END\n", PAGE.read_text(), re.DOTALL)[1]
    path = tmp_path / "node.toml"
    path.write_text(text)
    settings = read_settings(path)
    assert settings.folder == tmp_path / "spool"
    assert settings.callers[0].ae_title == settings.destinations[0].ae_title == "PACS"


@pytest.mark.parametrize("part", [NodeSettings, Caller, Destination, Pull, Tls])
def test_the_page_names_every_key(part):
    quoted = " ".join(re.findall(r"`([^`\n]*)`", PAGE.read_text()))
    known = set(re.findall(r"[a-z_]+", quoted))
    named = {"callers", "destinations", "pulls", "tls"} | known
    assert set(part.model_fields) <= named


def test_the_page_prints_the_defaults_that_hold():
    rows = re.findall(r"^\| `([a-z_]+)` \| `?\"?([A-Za-z0-9.:]+)\"?`? \|", PAGE.read_text(), re.M)
    checked = 0
    for name, told in rows:
        default = NodeSettings.model_fields[name].default
        if told.replace(".", "").isdigit():
            assert float(default) == float(told), name
            checked += 1
    assert checked >= 3
