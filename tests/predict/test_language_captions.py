"""A run is asked in the style, segments, words and length of the captions it was trained with."""

import json
import shutil
from dataclasses import replace
from importlib.resources import files

import polars as pl
import pytest
import torch

from factory import drawn_store
from fourview.captions.caption import MaskConfig, caption_facts, load_template
from fourview.captions.prompts import make_prompts
from fourview.checkpoint.card import save_checkpoint
from fourview.checkpoint.release import export_checkpoint
from fourview.errors import CaptionError, CheckpointError, RecipeError
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.find import find_family
from fourview.nn.tokenizer import TokenizerConfig
from fourview.predict.language import load_language_model
from fourview.preprocess.spec import pixel_spec
from fourview.study.find_recipe import find_recipe
from fourview.train.recipe import override
from fourview.train.tokens import require_tokens_fit, with_own_tokenizer

STYLES = ("structured", "natural", "tabular", "class_only")


def run(folder, **feed):
    family = find_family("clip")
    torch.manual_seed(0)
    save_checkpoint(
        folder, family.build(family.tiny_config), recipe="clip:tiny", family="clip",
        config=family.tiny_config, spec=pixel_spec("mvccl-192x96"), feed=CaptionFeedConfig(**feed),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    manifest, store = drawn_store(root, num_patients=2)
    birads = pl.Series([1, 2, 4, 0], dtype=pl.Int8)
    return replace(manifest, breasts=manifest.breasts.with_columns(birads=birads)), store


def asked(model, data, prompts):
    """The texts that a model was asked."""
    asked_texts = []
    encode = model.encode_texts

    def remembered(texts, **how):
        asked_texts.extend(texts)
        return encode(texts, **how)

    model.encode_texts = remembered
    table = model.zero_shot(*data, prompts)
    return asked_texts, table


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("prompts", ["embed-density", "embed-birads7", "vindr-birads"])
def test_every_sentence_of_a_prompt_is_one_that_such_captions_have(tmp_path, data, style, prompts):
    model = load_language_model(run(tmp_path, style=style))
    texts, _ = asked(model, data, prompts)
    template = load_template()
    known = caption_facts(data[0], template.columns).values()
    told = {
        sentence
        for facts in known
        for density in "ABCD"
        for birads in "0123456"
        for sentence in template.prepare({**facts, "density": density, "birads": birads}, style)
        .caption(frozenset({"side"}))
        .sentences
    }
    assert texts and {sentence for text in texts for sentence in text} <= told


@pytest.mark.parametrize(
    ("style", "want"),
    [("tabular", "BI-RADS: 0"), ("class_only", "BI-RADS 0: "), ("structured", "Impression: ")],
)
def test_ready_sentences_are_in_the_style_too(tmp_path, data, style, want):
    texts, _ = asked(load_language_model(run(tmp_path, style=style)), data, "rsna-cancer")
    assert any(sentence.startswith(want) for text in texts for sentence in text)


def test_tabular_prompts_are_there_by_name_too():
    made = make_prompts(load_template(), "tabular-density", {}, ["i"])
    assert [text[-1] for text in made.texts] == [f"density: {c}" for c in "ABCD"]


def test_segments_that_captions_never_told_are_not_asked(tmp_path, data):
    model = load_language_model(run(tmp_path, segments=("findings", "impression")))
    texts, _ = asked(model, data, "embed-birads7")
    assert all(t[0].startswith("Findings:") and t[-1].startswith("Impression:") for t in texts)
    with pytest.raises(CaptionError, match="ask for composition, which the captions of this model"):
        model.zero_shot(*data, "embed-density")


def test_what_training_always_hid_is_hidden_in_prompts(tmp_path, data):
    model = load_language_model(run(tmp_path, mask=MaskConfig(age=1.0, side=0.0)))
    texts, _ = asked(model, data, "embed-density")
    patients = {s for text in texts for s in text if s.startswith("Patient:")}
    assert patients and all("age unknown" in s for s in patients)
    sides = " ".join(s for text in texts for s in text if s.startswith("Image:"))
    assert "right breast" in sides and "left breast" in sides


def test_a_persons_own_words_go_with_the_weights(tmp_path, data):
    words = json.loads((files("fourview.captions.templates") / "default.json").read_text())
    words["words"]["tissue"]["values"]["A"] = "Fettgewebe"
    own = tmp_path / "mine.json"
    own.write_text(json.dumps(words))
    folder = run(tmp_path / "run", template=str(own))
    own.unlink()
    model = load_language_model(folder)
    texts, _ = asked(model, data, "embed-density")
    assert any("Fettgewebe" in s for text in texts for s in text)
    export_checkpoint(folder, tmp_path / "out")
    shutil.rmtree(folder)
    again, _ = asked(load_language_model(tmp_path / "out"), data, "embed-density")
    assert again == texts
    (tmp_path / "out" / "template.json").unlink()
    with pytest.raises(CheckpointError, match=r"there is no template\.json"):
        load_language_model(tmp_path / "out")


def test_the_longest_text_goes_with_the_weights(tmp_path, data):
    model = load_language_model(run(tmp_path, tokenizer=TokenizerConfig(max_tokens=12)))
    facts = caption_facts(data[0], load_template().columns)
    made = make_prompts(
        load_template(), "embed-density", facts, data[0].images["image_id"].to_list()
    )
    batch = model.tokenizer.batch(made.texts, [0] * len(made.texts))
    assert batch.mask.sum(dim=1).max() == 12


def test_the_tokens_are_the_text_towers_and_others_are_refused():
    recipe = with_own_tokenizer(find_recipe("mama:paper"))
    assert (recipe.feed.tokenizer.name, recipe.feed.tokenizer.kind) == ("BioMedLM", "decoder")
    asked_for = override(find_recipe("clip:paper"), ["model.text.name=/models/cxr"])
    assert with_own_tokenizer(asked_for).feed.tokenizer.name == "/models/cxr"
    with pytest.raises(
        RecipeError, match=r"feed\.tokenizer\.name is 'other' and model\.text\.name"
    ):
        override(find_recipe("clip:paper"), ["feed.tokenizer.name=other"])
    both = ["feed.tokenizer.name=/m/a", "model.text.name=/m/a"]  # in either order
    assert override(find_recipe("clip:paper"), both) == override(
        find_recipe("clip:paper"), both[::-1]
    )


def test_captions_longer_than_the_tower_reads_are_refused():
    recipe = override(find_recipe("clip:phantom"), ["feed.tokenizer.max_tokens=300"])
    model = find_family("clip").build(recipe.model)
    with pytest.raises(RecipeError, match=r"text tower 'small' reads 256; set .*max_tokens=256"):
        require_tokens_fit(recipe, model)
