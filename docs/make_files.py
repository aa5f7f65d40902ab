"""Writes ``files.md``: every file of the source, with what its first sentence and its names say.

Run:     python docs/make_files.py, after adding, moving or renaming a file or a public name.
Test:    tests/docs/test_files.py fails where the page is not what this writes.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).with_name("files.md")
SOURCE = Path(__file__).parents[1] / "src" / "fourview"
COMMENT = re.compile(r"\A(?:\"use strict\";\s*)?/\*\*(.*?)\*/", re.DOTALL)
EXPORTED = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
HEAD = """# Every file of the source

Search this page for a word, such as "pseudonym" or "checksum", to find the file that decides it.
Each line is a file of Python or JavaScript, the first sentence in it and its public names.
`architecture.md` says what to open first in each folder.

Written by `python docs/make_files.py`.
"""


def page() -> str:
    """The whole page."""
    folders = sorted({path.parent for end in ("py", "js") for path in SOURCE.rglob(f"*.{end}")})
    return HEAD + "".join(part(folder) for folder in folders if list(rows(folder)))


def part(folder: Path) -> str:
    """The table of one folder."""
    name = "/".join(["fourview", *folder.relative_to(SOURCE).parts])
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows(folder))
    return f"\n## {name}\n| file | what it is | its names |\n| --- | --- | --- |\n{lines}"


def rows(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, first sentence and public names of each file that holds something."""
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [f"`{name}`" for name in public_names(tree)]
        if names or path.name not in ("__init__.py", "__main__.py"):
            yield f"`{path.name}`", first_sentence(tree), ", ".join(names)
    for path in sorted(folder.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        comment = COMMENT.search(text)
        names = [f"`{name}`" for name in EXPORTED.findall(text)]
        yield (
            f"`{path.name}`",
            one_line(comment[1] if comment else f"The script of ``{path.stem}.html``."),
            ", ".join(names),
        )


def public_names(tree: ast.Module) -> list[str]:
    """Functions, classes and constants, in the order of the file."""
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            words = [word.id for t in targets for word in ast.walk(t) if isinstance(word, ast.Name)]
            names += [word for word in words if word.isupper()]
    return [name for name in names if not name.startswith("_")]


def first_sentence(tree: ast.Module) -> str:
    """Of the docstring, as one line of a table."""
    return one_line((ast.get_docstring(tree) or "").split("\n\n")[0])


def one_line(text: str) -> str:
    """Fit for a cell of a table."""
    return re.sub(r"``(.*?)``", r"`\1`", " ".join(text.split()).replace("|", "\\|"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
