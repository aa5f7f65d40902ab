"""The page of all files is what the source says of itself."""

import importlib.util

import printed

DOCS = printed.ROOT / "docs"


def make_files():
    spec = importlib.util.spec_from_file_location("make_files", DOCS / "make_files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date():
    page = (DOCS / "files.md").read_text(encoding="utf-8")
    assert page == make_files().page(), "run: python docs/make_files.py"


def test_every_file_stands_on_it_once():
    page = (DOCS / "files.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    source = DOCS.parent / "src" / "fourview"
    files = [p for p in source.rglob("*.py") if not p.name.startswith("__")]
    files += source.rglob("*.js")
    named = [line.split("`")[1] for line in lines]
    assert sorted(n for n in named if not n.startswith("__")) == sorted(p.name for p in files)
    assert all(len(line.split(" | ")[1]) > 10 for line in lines), "a docstring says what a file is"
