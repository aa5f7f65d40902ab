"""Captions: what they say, what they hide, and what they never say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from factory import drawn_manifest
from fourview.captions.caption import MaskConfig, caption_facts, load_template
from fourview.captions.prompts import make_prompts, prompts_of_protocol
from fourview.errors import CaptionError
from fourview.evaluate.protocols import PROTOCOLS

FACTS = {
    "procedure": "MG Screening {Bilateral}",
    "screening": "true",
    "race": "White",
    "ethnicity": "Hispanic or Latino",
    "age": "57",
    "kind": "ffdm",
    "side": "L",
    "view": "CC",
    "density": "B",
    "birads": "4",
}
TEMPLATE = load_template()


def told(facts, style="structured", hidden=frozenset()):
    return TEMPLATE.prepare(facts, style).caption(frozenset(hidden))


@pytest.mark.parametrize(
    ("more", "sentences"),
    [  # the eight segments, one more each for a dense breast, a mass, a calcification
        ({}, 8),
        ({"density": "C"}, 9),
        ({"density": "D"}, 9),
        ({"mass_shape": "oval", "mass_density": "isodense"}, 9),
        ({"mass_shape": "oval"}, 8),
        ({"calc_type": "vascular", "calc_distribution": "grouped"}, 9),
        (
            {"density": "D", "mass_shape": "oval", "mass_density": "isodense"}
            | {"calc_type": "vascular", "calc_distribution": "grouped"},
            11,
        ),
    ],
)
def test_a_report_has_a_sentence_for_each_thing_that_is_known(more, sentences):
    caption = told(FACTS | more)
    assert len(caption.sentences) == len(caption.segments) == sentences
    assert list(dict.fromkeys(caption.segments)) == [
        *("procedure", "reason", "patient", "image"),
        *("composition", "findings", "impression", "assessment"),
    ]


def test_braces_of_the_data_are_text():
    assert "MG Screening {Bilateral}" in told(FACTS).text


def test_what_is_hidden_or_unknown_reads_unknown_and_nothing_else_changes():
    plain = told(FACTS)
    hidden = told(FACTS, hidden={"race", "side"})
    assert "White" in plain.text and "left" in plain.text
    assert "White" not in hidden.text and "left" not in hidden.text
    without = told({k: v for k, v in FACTS.items() if k not in ("race", "side")})
    assert hidden == without
    changed = [a != b for a, b in zip(plain.sentences, hidden.sentences, strict=True)]
    assert sum(changed) == 2


def test_findings_of_unknown_categories_are_not_made_up():
    caption = told({k: v for k, v in FACTS.items() if k not in ("birads", "density", "procedure")})
    assert set(caption.segments) == {"reason", "patient", "image"}


@pytest.mark.parametrize("style", list(TEMPLATE.styles))
def test_every_style_says_density_and_category(style):
    texts = {
        (density, birads): told(FACTS | {"density": density, "birads": birads}, style).text
        for density in "ABCD"
        for birads in "0123456"
    }
    assert len(set(texts.values())) == len(texts)


def test_fields_are_hidden_with_their_own_probability_and_the_side_always():
    config = MaskConfig(race=0.3, view=0.0)
    generator = np.random.default_rng(0)
    drawn = [config.draw(generator) for _ in range(2000)]
    share = {n: sum(n in d for d in drawn) / len(drawn) for n in ("race", "age", "side", "view")}
    assert share["side"] == 1 and share["view"] == 0
    # four standard deviations of a share of 2,000
    assert share["race"] == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 2000) ** 0.5)
    assert share["age"] == pytest.approx(0.8, abs=4 * (0.8 * 0.2 / 2000) ** 0.5)
    assert config.draw(None) == {"side"}


def test_facts_are_the_breasts_own_then_the_exams_and_never_the_other_breasts(tmp_path):
    manifest = drawn_manifest(tmp_path, num_patients=1)
    breasts = manifest.breasts.with_columns(
        birads=pl.when(pl.col("side") == "R").then(pl.lit(4, pl.Int8)),
        density=pl.when(pl.col("side") == "R").then(pl.lit("D")),
    )
    facts = caption_facts(
        replace(manifest, breasts=breasts), ("side", "birads", "density", "age", "nothing")
    )
    by_side = {known["side"]: known for known in facts.values()}
    assert by_side["R"] == {"side": "R", "birads": "4", "density": "D", "age": "40"}
    assert by_side["L"] == {"side": "L", "density": "A", "age": "40"}  # the exam's density


def test_prompts_say_what_is_known_before_reading_and_the_class_and_no_finding():
    facts = {
        "a": FACTS | {"mass_shape": "oval", "mass_density": "isodense"},
        "b": FACTS | {"birads": "1", "density": "D"},
        "c": FACTS | {"age": "60"},
    }
    prompts = make_prompts(TEMPLATE, "embed-birads7", facts, list("abc"))
    assert prompts.classes == tuple(f"birads-{n}" for n in range(7))
    assert prompts.which.shape == (3, 7)
    assert len(prompts.texts) == 14  # a and b differ in findings only, which no prompt says
    assert (prompts.which[0] == prompts.which[1]).all()
    for row, age in zip(prompts.which, ("57", "57", "60"), strict=True):
        for category, number in enumerate(row):
            text = " ".join(prompts.texts[number])
            assert f"BI-RADS category {category}:" in text and f"age {age}" in text
            assert "oval" not in text and "Breast composition" not in text and "left" not in text


def test_every_prompt_set_answers_its_protocol_with_the_protocols_classes():
    asked = [name for name in PROTOCOLS if prompts_of_protocol(name)]
    # six questions, by image and averaged over a breast; two on samples, one on screening exams and
    # two on pairs of views, the last three averaged as well
    assert len(asked) == 20
    for name in asked:
        prompts = make_prompts(TEMPLATE, prompts_of_protocol(name), {}, ["a"])
        assert prompts.scores == PROTOCOLS[name].classes


def test_a_template_of_ones_own_is_used(tmp_path):
    path = tmp_path / "mine.json"
    own = {
        "unknown": "?",
        "may_be_hidden": [],
        "words": {},
        "styles": {"structured": [{"name": "all", "sentences": ["vendor {vendor}"]}]},
    }
    path.write_text(json.dumps(own))
    template = load_template(str(path))
    assert template.columns == ("vendor",)
    assert template.prepare({"vendor": "A"}).caption().text == "vendor A."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"styles": 3}, "styles"),
        ({"synonyms": [["no mass", "mass"]]}, "'no' is protected"),
        (
            {"prompts": {"p": {"classes": {"A": {"density": "A"}}, "of_class": ["nothing"]}}},
            "no segment 'nothing'",
        ),
    ],
)
def test_a_template_that_cannot_be_used_says_where(tmp_path, change, message):
    data = json.loads((Path(__file__).parents[2] / TEMPLATE_FILE).read_text())
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data | change))
    with pytest.raises(CaptionError, match=message):
        load_template(str(path))


TEMPLATE_FILE = "src/fourview/captions/templates/default.json"
