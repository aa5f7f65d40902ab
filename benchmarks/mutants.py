"""Small changes of meaning, drawn by a seed: how many of them do the tests notice?

    python -m benchmarks.mutants [--rooms localise ...] [--each 12] [--seed 0] [--near] [--out FILE]

A mutant is the source with one change: a comparison that takes or leaves its end, a sign, a number
one higher, and/or, a lost not, min/max, True/False. It runs in a copy of the source; the working
tree is only read. Its room's tests run first, those of its own module in front; ``tests/contract``
and ``tests/end_to_end`` follow with ``--wide`` where it survived. ``--near`` runs only the module's
own test file and those that import it, which takes a tenth of the time. The first failure ends it.

Tests that fail without any change are left out, and named. A mutant that runs on and on counts as
noticed once it has used ``MANY`` times the processor time of the plain run of the same tests: time
of the clock tells nothing on a busy machine. Where the clock runs out first it is undecided.

``--out`` (lines of JSON) is also what a later call goes on from. ``docs/testing.md`` has the
figures, and the survivors with reasons. It needs ``fork``: heavy libraries are imported once.
"""

import argparse
import ast
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("localise", "evaluate", "preprocess", "train", "predict")
WIDE = ("tests/contract", "tests/end_to_end")
HEAVY = (
    "torch",
    "polars",
    "cv2",
    "numba",
    "sklearn.metrics",
    "scipy.stats",
)
MANY, AT_LEAST = 5, 30  # a mutant may use so many times the plain run's seconds, and these
PATIENCE = 900  # seconds of the clock for one run
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS)

COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
EXTREMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
PATHS = ("folder", "out /", "path", "root", "run /")  # the slash of a path
NO_MEANING = {"strict", "slots", "frozen", "kw_only", "check"}  # keywords that guard or decorate


@dataclass(frozen=True)
class Mutant:
    """Where a change is, and what it reads before and after."""

    room: str
    file: str
    place: int
    line: int
    kind: str
    before: str
    after: str


class Change(ast.NodeTransformer):
    """Visits the places of a module that can change, and changes the one asked for."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.count = wanted, 0
        self.told: list[tuple[int, str, str, str]] = []

    def offer(self, node: ast.expr, other: ast.expr) -> ast.expr:
        """Count a place; the other node where it is the one."""
        kind = type(getattr(node, "value", node)).__name__
        self.told.append((node.lineno, kind, ast.unparse(node), ast.unparse(other)))
        self.count += 1
        return ast.copy_location(other, node) if self.count - 1 == self.wanted else node

    def visit_Compare(self, node):
        self.generic_visit(node)
        ops = [COMPARED[type(node.ops[0])](), *node.ops[1:]]
        return self.offer(node, ast.Compare(node.left, ops, node.comparators))

    def visit_BinOp(self, node):
        self.generic_visit(node)
        sides = (node.left, node.right)
        texts = (ast.JoinedStr, ast.Tuple, ast.List)
        if type(node.op) not in SIGNS or any(isinstance(s, texts) or is_text(s) for s in sides):
            return node
        if isinstance(node.op, ast.Div) and any(part in ast.unparse(node) for part in PATHS):
            return node
        return self.offer(node, ast.BinOp(node.left, SIGNS[type(node.op)](), node.right))

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return self.offer(node, ast.BoolOp(other, node.values))

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return self.offer(node, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_Constant(self, node):
        if isinstance(node.value, bool):
            return self.offer(node, ast.Constant(not node.value))
        if isinstance(node.value, int | float):
            return self.offer(node, ast.Constant(node.value + 1))
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name not in EXTREMES:
            return node
        field = "id" if isinstance(node.func, ast.Name) else "attr"
        func = type(node.func)(**{**dict(ast.iter_fields(node.func)), field: EXTREMES[name]})
        return self.offer(node, ast.Call(func, node.args, node.keywords))

    def visit_keyword(self, node):
        return node if node.arg in NO_MEANING else self.generic_visit(node)

    def visit_AnnAssign(self, node):  # the value, not the type
        node.value = self.visit(node.value) if node.value else None
        return node

    def visit_FunctionDef(self, node):  # neither decorators nor types
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.args.kw_defaults = [d and self.visit(d) for d in node.args.kw_defaults]
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_ClassDef(self, node):
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_JoinedStr(self, node):  # words for people
        return node

    def visit_Raise(self, node):
        return node


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def mutants(room: str, each: int, seed: int) -> list[Mutant]:
    """Places of a room's modules, the same for the same seed; kinds of change take turns."""
    places = []
    for path in sorted((ROOT / "src" / "fourview" / room).rglob("*.py")):
        change = Change()
        change.visit(ast.parse(path.read_text()))
        name = path.relative_to(ROOT / "src").as_posix()
        places += [Mutant(room, name, i, *told) for i, told in enumerate(change.told)]
    random.Random(f"{seed} {room}").shuffle(places)
    turns: dict[str, int] = {}
    order = []
    for mutant in places:
        turns[mutant.kind] = turns.get(mutant.kind, 0) + 1
        order.append(turns[mutant.kind])
    drawn = [m for _, m in sorted(zip(order, places, strict=True), key=lambda pair: pair[0])]
    return drawn[:each]


def mutated(text: str, place: int) -> str:
    """The module with one place changed."""
    tree = Change(place).visit(ast.parse(text))
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


class Failures:
    """A plug-in of pytest that notes what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


@dataclass(frozen=True)
class Outcome:
    """Of one run of tests: what failed first, and processor seconds."""

    failed: list[str]
    seconds: float
    ended: str  # "", "time" for too much processor time, "clock" for undecided, or "died"


def run(copy: Path, tests: list[str], leave: list[str], *, mutant: bool, limit: float) -> Outcome:
    """Run tests against the copy, in a process of its own, which ends with this one."""
    told = copy / "told.json"
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            _in_child(copy, tests, leave, mutant=mutant, limit=limit)
        finally:
            os._exit(9)
    start, done, status, usage = time.monotonic(), 0, 0, None
    try:
        while not done and time.monotonic() - start < PATIENCE:
            time.sleep(0.1)
            done, status, usage = os.wait4(child, os.WNOHANG)
    finally:
        if not done:
            os.killpg(child, signal.SIGKILL)
            usage = os.wait4(child, 0)[2]
    seconds = usage.ru_utime + usage.ru_stime
    if not done:
        return Outcome([], seconds, "clock")
    if seconds >= limit:
        return Outcome([], seconds, "time")
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) not in CRASHES:
        return Outcome([], seconds, "clock")  # ended by somebody else
    if not told.exists():
        return Outcome([], seconds, "died")
    return Outcome(json.loads(told.read_text()), seconds, "")


def _in_child(
    copy: Path, tests: list[str], leave: list[str], *, mutant: bool, limit: float
) -> None:
    os.setpgid(0, 0)
    os.chdir(ROOT)
    source = str(copy / "src")
    os.environ |= {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1" if mutant else ""}
    # Compiled loops of a mutant are kept apart: they may hold a number of the module that changed.
    os.environ["NUMBA_CACHE_DIR"] = str(copy / ("numba-mutant" if mutant else "numba"))
    sys.dont_write_bytecode = mutant
    sys.path.insert(0, source)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    noted = Failures()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", "--tb=no"]
    options += ["-x"] * mutant + [f"--deselect={name}" for name in leave]
    code = pytest.main([*options, *tests], plugins=[noted])
    if code not in (0, 1) and not noted.failed:
        noted.failed.append(f"pytest ended with {code}")
    (copy / "told.json").write_text(json.dumps(noted.failed))
    os._exit(0)


def in_order(room: str, file: str, *, near: bool) -> list[str]:
    """Test files of a room: the module's own, those that name it, and the others but if near."""
    module = file.removesuffix(".py").replace("/", ".")
    files = sorted((ROOT / "tests" / room).rglob("test_*.py"))

    def rank(path: Path) -> tuple[int, str]:
        if path.stem == f"test_{Path(file).stem}":
            return 0, path.name
        return (1 if module in path.read_text() else 2), path.name

    ranked = [path for path in sorted(files, key=rank) if not near or rank(path)[0] < 2]
    return [path.relative_to(ROOT).as_posix() for path in ranked]


class Tests:
    """The plain runs of test files, each made when it is first needed."""

    def __init__(self, copy: Path) -> None:
        self.copy, self.plain = copy, {}

    def of(self, file: str) -> Outcome:
        """What fails without any change, and how long the file takes."""
        if file not in self.plain:
            got = run(self.copy, [file], [], mutant=False, limit=3600)
            if got.ended:
                raise RuntimeError(f"the plain run of {file} did not end by itself: {got}")
            print(f"plain     {file}: {got.seconds:.0f} s, fails {got.failed}", flush=True)
            self.plain[file] = got
        return self.plain[file]


def verdict(tests: Tests, mutant: Mutant, *, wide: bool, near: bool) -> dict:
    """Whether the tests notice a mutant; the file is put back, with its time."""
    files = in_order(mutant.room, mutant.file, near=near)
    for folder in WIDE if wide else ():
        files += sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / folder).glob("test_*.py"))
    path = tests.copy / "src" / mutant.file
    text, stat = path.read_text(), path.stat()
    shutil.rmtree(tests.copy / "numba-mutant", ignore_errors=True)
    used, word, by = 0.0, "survived", ""
    for file in files:
        same = tests.of(file)
        path.write_text(mutated(text, mutant.place))
        try:
            limit = max(AT_LEAST, MANY * same.seconds)
            got = run(tests.copy, [file], same.failed, mutant=True, limit=limit)
        finally:
            path.write_text(text)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        used += got.seconds
        if got.failed or got.ended in ("time", "died"):
            word, by = "killed", got.failed[0] if got.failed else f"{got.ended} in {file}"
            break
        if got.ended == "clock":
            word = "undecided"
    return {**asdict(mutant), "verdict": word, "by": by, "seconds": round(used, 1)}


def missing(rooms: list[str], each: int, seed: int, kept: list[dict]) -> Iterator[Mutant]:
    """Mutants that no kept line is about."""
    keys = {(k["file"], k["place"], k["before"], k["line"]) for k in kept}
    for room in rooms:
        for mutant in mutants(room, each, seed):
            if (mutant.file, mutant.place, mutant.before, mutant.line) not in keys:
                yield mutant


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--each", type=int, default=12, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wide", action="store_true", help="contract and end_to_end as well")
    parser.add_argument("--near", action="store_true", help="only tests that name the module")
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--list", action="store_true", help="only say what would change")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kept = []
    if asked.out.exists():
        kept = [json.loads(line) for line in asked.out.read_text().splitlines()]
    wanted = list(missing(asked.rooms, asked.each, asked.seed, kept))
    if asked.list:
        for m in wanted:
            print(f"{m.file}:{m.line}  {m.before}  ->  {m.after}")
        return 0
    for name in HEAVY:
        import_module(name)
    with tempfile.TemporaryDirectory() as folder, asked.out.open("a", buffering=1) as out:
        tests = Tests(Path(folder))
        shutil.copytree(ROOT / "src", tests.copy / "src", copy_function=shutil.copy2)
        for mutant in wanted:
            row = verdict(tests, mutant, wide=asked.wide, near=asked.near)
            kept.append(row)
            out.write(json.dumps(row) + "\n")
            print(f"{row['verdict']:9} {mutant.file}:{mutant.line}  {row['by']}", flush=True)
    table(kept)
    return 0


def table(rows: list[dict]) -> None:
    """Figures of each room, and the survivors."""
    for room in ROOMS:
        own = [r["verdict"] for r in rows if r["room"] == room]
        if own:
            print(f"{room:11} {own.count('killed'):3} of {len(own)} noticed")
    for row in rows:
        if row["verdict"] != "killed":
            print(f"| `{row['file']}:{row['line']}` | `{row['before']}` | `{row['after']}` |")


if __name__ == "__main__":
    sys.exit(main())
