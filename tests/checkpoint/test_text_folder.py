"""A run whose text model was moved is found again, and only where the user allows it."""

import json
import shutil

import pytest
import torch

from fourview.checkpoint.card import load_checkpoint, save_checkpoint
from fourview.errors import CheckpointError
from fourview.models.find import find_family
from fourview.nn.text_folder import ALLOWED
from fourview.nn.text_tower import TextTower, TextTowerConfig
from fourview.preprocess.spec import pixel_spec
from text_models import make_bert

pytest.importorskip("transformers", reason="the language extra is not installed")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A checkpoint whose text tower is a BERT in ``old/models--a--b/snapshots/c``."""
    monkeypatch.delenv(ALLOWED, raising=False)
    family = find_family("clip")
    folder = make_bert(tmp_path / "old" / "models--a--b" / "snapshots" / "c")
    tiny = family.tiny_config
    config = type(tiny)(
        image=tiny.image, text=TextTowerConfig(name=str(folder), weights="pretrained"), dim=8
    )
    torch.manual_seed(0)
    model = family.build(config).eval()
    save_checkpoint(
        tmp_path / "run", model, recipe="clip:tiny", family="clip", config=config,
        spec=pixel_spec("mvccl-192x96"),
    )  # fmt: skip
    return tmp_path, model


def test_a_moved_folder_is_found_by_the_end_of_its_path(run, monkeypatch):
    root, model = run
    (root / "new").mkdir()
    shutil.move(root / "old" / "models--a--b", root / "new" / "models--a--b")
    with pytest.raises(CheckpointError, match=rf"text\.name names .* set {ALLOWED}"):
        load_checkpoint(root / "run")
    monkeypatch.setenv(ALLOWED, str(root / "new"))
    loaded, _, _ = load_checkpoint(root / "run")
    state = loaded.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    place = root / "new" / "models--a--b" / "snapshots" / "c"
    assert loaded.text_tower.tokenizer.name == str(place.resolve())


def test_a_folder_with_another_vocabulary_is_refused(run, monkeypatch):
    root, _ = run
    folder = root / "old" / "models--a--b" / "snapshots" / "c"
    monkeypatch.setenv(ALLOWED, str(root / "old"))
    load_checkpoint(root / "run")
    for name in ("tokenizer.json", "vocab.txt"):
        path = folder / name
        if path.exists():
            path.write_text(path.read_text().replace("benign", "harmless"))
    with pytest.raises(CheckpointError, match="trained with vocabulary"):
        load_checkpoint(root / "run")


def test_a_card_leads_to_nothing_outside_of_the_allowed_folders(run, monkeypatch):
    root, _ = run
    monkeypatch.setenv(ALLOWED, str(root / "new"))
    (root / "new").mkdir()
    card = json.loads((root / "run" / "model.json").read_text())
    names = ("../old/models--a--b/snapshots/c", "../new/../old/models--a--b/snapshots/c", "c")
    (root / "new" / "c").symlink_to(root / "old" / "models--a--b" / "snapshots" / "c")
    for name in names:
        card["config"]["text"]["name"] = name
        (root / "run" / "model.json").write_text(json.dumps(card))
        monkeypatch.chdir(root / "new")
        with pytest.raises(CheckpointError, match="a card opens no file"):
            load_checkpoint(root / "run")


def test_a_tokenizer_larger_than_its_network_is_refused(tmp_path):
    folder = make_bert(tmp_path / "bert", vocabulary=12)
    with pytest.raises(CheckpointError, match="belong to two models"):
        TextTower(TextTowerConfig(name=str(folder), weights="pretrained"))
