"""Figures of the source: folders, circles, the way of an exam, lines that stand twice.

    python -m benchmarks.structure                    the working tree
    python -m benchmarks.structure --at 951fa4d^      another commit beside it
    python -m benchmarks.structure --way              also runs ``fourview read`` on a phantom exam

Lines are those of .py files below src/fourview, blank ones too. A circle is a set of modules that
import each other, directly or not; imports for types alone do not count, those within functions are
counted apart. A line stands twice where it is in a block of BLOCK lines, imports and signs alone
aside, that is somewhere else too. The way of an exam: files of ours of which ``fourview read``
calls a function between the files of an exam and its page.
"""

import argparse
import ast
import io
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = 6  # lines
COUNTS = """
import sys
from fourview.cli.main import main
files, ours = set(), {source!r}
def called(frame, event, _):
    if event == "call" and frame.f_code.co_name != "<module>":
        name = frame.f_code.co_filename
        if name.startswith(ours) and "/cli/" not in name:
            files.add(name)
from fourview.cli import read
sys.setprofile(called)
try:
    main(["read", {exam!r}, "-o", {out!r}])
except SystemExit as end:
    sys.setprofile(None)
    assert not end.code, end.code
print(len(files))
"""


def modules(source: Path) -> dict[str, str]:
    """Dotted names with their texts."""
    texts = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        texts[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return texts


def imports(name: str, text: str, known: set[str], *, late: bool) -> Iterator[str]:
    """Modules that one imports: when it is imported itself, and ``late`` also in its functions."""
    for node in _statements(ast.parse(text), late=late):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                where = inner if inner in known else node.module
                if where in known and where != name:
                    yield where


def _statements(tree: ast.AST, *, late: bool) -> Iterator[ast.AST]:
    """Those that run on import, never those below TYPE_CHECKING; ``late`` adds functions'."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not late:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _statements(node, late=late)


def circles(texts: dict[str, str], *, late: bool) -> list[list[str]]:
    """Sets of modules each of which imports all others of it, directly or not (Tarjan 1972)."""
    graph = {n: set(imports(n, text, set(texts), late=late)) for n, text in texts.items()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                circles.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for name in graph:
        if name not in index:
            visit(name)
    return circles


def twice(texts: dict[str, str]) -> int:
    """Lines that stand in several places."""
    places = defaultdict(list)
    for name, text in texts.items():
        lines = [line.strip() for line in text.splitlines()]
        kept = [
            (number, line)
            for number, line in enumerate(lines)
            if line.strip("()[]{},:") and not line.startswith(("import ", "from ", "#", '"""'))
        ]
        for start in range(len(kept) - BLOCK + 1):
            block = kept[start : start + BLOCK]
            places[tuple(line for _, line in block)].append((name, [n for n, _ in block]))
    repeated = {
        (name, number)
        for where in places.values()
        if len(where) > 1
        for name, numbers in where
        for number in numbers
    }
    return len(repeated)


def way(source: Path, exam: Path, out: Path) -> str:
    """How many files an exam passes from its own to its page."""
    program = COUNTS.format(source=str(source), exam=str(exam), out=str(out))
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(source.parent), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.split()[-1] if told.returncode == 0 else f"failed: {told.stderr[-200:]}"


def figures(source: Path) -> dict[str, str]:
    """What is printed of one tree."""
    texts = modules(source)
    folders = Counter()
    for name, text in texts.items():
        parts = name.split(".")
        folder = parts[1] if (source / parts[-1]).is_dir() or len(parts) > 2 else "no folder"
        folders[folder] += len(text.splitlines())
    total = sum(folders.values())
    (first, most), *_ = folders.most_common(1)
    again = twice(texts)
    return {
        "lines": f"{total:,} in {len(texts)} files",
        "largest folder": f"{first}, {100 * most / total:.1f} % of the lines",
        "circles": _named(circles(texts, late=False)),
        "circles with imports in functions": _named(circles(texts, late=True)),
        "lines of predict": f"{folders['predict']:,}",
        "lines that stand twice": f"{again:,}, {100 * again / total:.2f} %",
    }


def _named(circles: list[list[str]]) -> str:
    shown = "; ".join(", ".join(name.removeprefix("fourview.") for name in g[:4]) for g in circles)
    return f"{len(circles)}" + (f" ({shown})" if circles else "")


def unpacked(commit: str, folder: Path) -> Path:
    """The source of another commit."""
    command = ["git", "archive", commit, "src"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        file.extractall(folder, filter="data")
    return folder / "src" / "fourview"


def main() -> None:
    """Print the figures, of one tree or of two beside each other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--at", help="a commit to compare with")
    parser.add_argument("--way", action="store_true", help="also read an exam (a minute)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        trees = {"now": ROOT / "src" / "fourview"}
        if asked.at:
            trees = {asked.at: unpacked(asked.at, here)} | trees
        columns = {name: figures(tree) for name, tree in trees.items()}
        if asked.way:
            from fourview.phantom.write import write_phantom  # noqa: PLC0415 - only for this

            write_phantom(here / "phantoms", preset="miniature", num_exams=1, seed=7)
            exam = next(path for path in (here / "phantoms" / "dicom").iterdir())
            for place, (name, tree) in enumerate(trees.items()):
                columns[name]["files an exam passes"] = way(tree, exam, here / f"page{place}")
    print(f"| figure | {' | '.join(columns)} |")
    print("| --- |" + " --- |" * len(columns))
    for figure in next(iter(columns.values())):
        print(f"| {figure} | {' | '.join(each[figure] for each in columns.values())} |")


if __name__ == "__main__":
    main()
