"""Folders of text models by their plain names."""

import pytest

from fourview.errors import CaptionError
from fourview.nn.text_folder import ALLOWED, text_folder
from fourview.nn.text_tower import TextTower, TextTowerConfig
from text_models import make_bert

pytest.importorskip("transformers", reason="the language extra is not installed")


def test_a_recipe_names_a_folder_by_its_plain_name(tmp_path, monkeypatch):
    make_bert(tmp_path / "models" / "Bio_ClinicalBERT")
    with pytest.raises(CaptionError, match=ALLOWED):
        TextTower(TextTowerConfig(name="Bio_ClinicalBERT", weights="pretrained"))
    monkeypatch.setenv(ALLOWED, f"{tmp_path / 'other'}:{tmp_path / 'models'}")
    tower = TextTower(TextTowerConfig(name="Bio_ClinicalBERT", weights="pretrained"))
    assert tower.dim == 16 and tower.most_tokens == 64
    assert text_folder("nothing").name == "nothing"
