"""Cards and weights that somebody made up: one line each, and nothing opened or allocated."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from fourview.checkpoint.card import load_checkpoint, read_card, save_checkpoint
from fourview.checkpoint.plan import ALLOWED, plan
from fourview.errors import CheckpointError, FourviewError
from fourview.fingerprint import digest_of_file
from fourview.models.find import family_names, find_family
from fourview.preprocess.spec import pixel_spec

SHIPPED = Path(str(files("fourview.predict"))) / "embedded" / "mvccl-small"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "model")
    return tmp_path / "model"


def change(folder, edit):
    card = json.loads((folder / "model.json").read_text())
    edit(card)
    (folder / "model.json").write_text(json.dumps(card))


def set_config(*path, to):
    def edit(card):
        part = card["config"]
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = to

    return edit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 5000 + "]" * 5000, "nested"),
        ("[]", "need an object"),
        ('{"family": NaN}', "NaN"),
        ("{}", "recipe: Field required"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "more than 1,048,576 bytes"),
        ("\x00", "damaged"),
    ],
)
def test_a_card_that_is_no_card_is_one_line(folder, text, said):
    (folder / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match=said) as error:
        read_card(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda c: c.update(epochs=1), "no key 'epochs'"),
        (set_config("encoder", "nmae", to="x"), "no key 'nmae'; did you mean 'name'"),
        (set_config("encoder", "name", to="/etc/passwd"), "opens no file"),
        (set_config("encoder", "name", to="hf-hub:someone/thing"), "opens no file"),
        (set_config("encoder", "name", to="local-dir:.."), "opens no file"),
        (set_config("encoder", "name", to="convnext_xxlarge"), "cannot be loaded as"),
        (set_config("encoder", "name", to="no_such_network"), "no_such_network"),
        (set_config("head_dim", to=2_000_000_000), "refused|differ|cannot be loaded"),
        (set_config("head_dim", to=-1), "cannot be loaded"),
        (set_config("head_dim", to=1e400), "cannot be loaded|Infinity"),
        (set_config("head_dim", to=7), "tensors differ"),
        (lambda c: c.update(feed={"style": "a/b.json"}), "feed.style names 'a/b.json'"),
        (lambda c: c.update(digest="0" * 64), "not the file that model.json describes"),
        (lambda c: c.update(family="../../x"), "no model family"),
        (lambda c: c.update(pixel_spec="x\n\x1b[31m"), "no pixel spec"),
    ],
)  # fmt: skip
def test_what_a_card_may_not_ask_for(folder, edit, said, monkeypatch):
    monkeypatch.chdir(folder)
    change(folder, edit)
    with pytest.raises(FourviewError, match=said) as error:
        load_checkpoint(folder)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


def test_weights_that_changed_are_not_read(folder):
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="not the file"):
        load_checkpoint(folder)
    change(folder, lambda card: card.update(digest=digest_of_file(weights)))
    load_checkpoint(folder)
    weights.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    change(folder, lambda card: card.update(digest=digest_of_file(weights)))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_checkpoint(folder)


def test_a_text_model_is_read_from_a_folder_that_the_user_named_only(folder, monkeypatch):
    change(folder, set_config("text", to={"name": "bert"}))
    monkeypatch.chdir(folder.parent)
    with pytest.raises(CheckpointError, match=ALLOWED):
        load_checkpoint(folder)
    monkeypatch.setenv(ALLOWED, str(folder.parent))
    with pytest.raises(CheckpointError, match="no key 'text'"):
        load_checkpoint(folder)


def test_a_network_of_endless_depth_is_not_built():
    family = find_family("mvccl")
    endless = type(family)(**{**{n: getattr(family, n) for n in family.__dataclass_fields__}})

    def build(_):
        layers = torch.nn.ModuleList()
        while True:
            layers.append(torch.nn.Linear(8, 8))

    object.__setattr__(endless, "build", build)
    with pytest.raises(CheckpointError, match="which its weights do not have; refused"):
        plan(endless, None, SHIPPED / "model.safetensors", "x")


@pytest.mark.parametrize("name", family_names())
def test_every_family_is_planned_without_memory_and_loaded_as_it_was_saved(name, tmp_path):
    family = find_family(name)
    model = family.build(family.tiny_config)
    save_checkpoint(
        tmp_path,
        model,
        recipe=f"{name}:tiny",
        family=name,
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
    )
    loaded, card, _ = load_checkpoint(tmp_path)
    assert card.family == name
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
