"""Lists: what stands in them is so, they lead somewhere, and they are there at once."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest

import printed
from fourview import outside
from fourview.cli.list_command import PUBLISHED, START, list_, size_of, starts
from fourview.models.find import own_names as own_families
from fourview.preprocess.spec import pixel_spec
from fourview.sources._cards import CARDS
from fourview.sources.find import own_names as own_sources
from fourview.study.find_recipe import own_names as own_recipes

PAGE = printed.ROOT / "docs" / "data_sets.md"
KINDS = ("sources", "specs", "families", "feeds", "recipes", "protocols", "tables", "conversions")
SMALL_PIXELS = 384 * 192  # an image that a processor trains on in minutes


@pytest.fixture(autouse=True)
def no_modules_of_other_tests(monkeypatch):
    """Lists are of the package alone, whatever another test of this process has used."""
    monkeypatch.setattr(outside, "_used", [])


def told(what, capsys):
    list_(what, json=True)
    return json.loads(capsys.readouterr().out)


@pytest.mark.skipif(not PAGE.exists(), reason="needs a checkout, not a wheel")
def test_the_file_of_lists_is_what_the_script_writes():
    script = printed.ROOT / "docs" / "make_lists.py"
    spec = importlib.util.spec_from_file_location("make_lists", script)
    make_lists = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_lists)
    known = json.loads(make_lists.PLACE.read_text(encoding="utf-8"))
    for row in known["recipes"].values():
        row.pop("weights")  # counting them builds every network
    assert known == make_lists.lists(weights=False), "run: python docs/make_lists.py"


def test_every_family_has_a_run_to_start_with(capsys):
    recipes = told("recipes", capsys)
    assert set(recipes) == set(own_recipes())
    converted = {row["family"] for row in told("conversions", capsys).values()}
    trained = {name.partition(":")[0] for name in recipes}
    assert set(own_families()) == trained | (converted & set(own_families()))
    for family in trained:
        first = starts(family, recipes)
        assert first, family
        assert set(START.get(family, first)) <= set(recipes), family


def test_what_a_name_says_of_its_size_is_so(capsys):
    for name, row in told("recipes", capsys).items():
        spec = pixel_spec(row["pixels"])
        rows, cols = spec.rows or 10_000, spec.cols or 10_000
        is_small = size_of(name) in ("small", "mini")
        if rows < 10_000 and row["task"] is not None and row["weights"] is not None:
            assert is_small == (rows * cols <= SMALL_PIXELS), name


def test_every_source_has_a_card_and_the_page_has_it():
    assert set(CARDS) == set(own_sources())
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else None
    for name, card in CARDS.items():
        assert card.title and card.knows and card.need and card.terms, name
        if page is not None and card.doi:
            assert f"https://doi.org/{card.doi}" in page
            assert re.search(rf"^\\| `{name}` \\|.*{re.escape(card.cite)}", page, re.MULTILINE), (
                name
            )


@pytest.mark.parametrize("what", KINDS)
def test_a_list_is_made_without_torch(what):
    code = (
        "import sys\nfrom fourview.cli.main import main\n"
        f"try:\n    main(['list', '{what}'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=printed.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "False False"
    assert len(lines) > 4


def test_conversions_say_whose_they_are_and_their_licence(capsys):
    list_("conversions")
    out = capsys.readouterr().out
    assert "gmic-1  gmic: " in out and "AGPL-3.0" in out and "wants --accept-licence" in out
    assert size_of("gmic:published_1") == PUBLISHED
