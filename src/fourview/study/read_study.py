"""A study's declaration from its TOML file, checked before anything is made.

An unknown key or name is an error with the nearest one. Paths are relative to the folder of the
file.
"""

import importlib
import importlib.util
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fourview.errors import StudyError
from fourview.study.declaration import Claim, Data, Measure, PhantomData, Row, SplitOfData, Study
from fourview.suggest import no_such

SHIPPED = Path(__file__).parent / "shipped"  # studies for data of one's own
PACKAGE = "package:"  # a path in an installed package: package:NAME/PATTERN


def read_study(path: Path) -> tuple[Study, str]:
    """A declaration and its text.

    Args:
        path: A file, or the name of a study that the package ships.

    Raises:
        StudyError: It is no TOML, has keys that nothing reads, or names something that is missing.
    """
    path = find_study(path)
    text = path.read_text(encoding="utf-8")
    try:
        study = Study.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: no TOML: {error}") from error
    except ValidationError as error:
        raise StudyError(f"{path}: {_mistake_words(error)}") from error
    for mistake in _mistakes(study):
        raise StudyError(f"{path}: {mistake}")
    folder = path.parent
    data = {
        name: each.model_copy(
            update={
                key: folder / getattr(each, key)
                for key in ("manifest", "store")
                if getattr(each, key) is not None
            }
        )
        for name, each in study.data.items()
    }
    return study.model_copy(update={"data": data}), text


def find_study(path: Path) -> Path:
    """The file of that path, or of the shipped study of that name.

    Raises:
        StudyError: There is neither.
    """
    if path.is_file():
        return path
    if path.suffix == "" and path.parent == Path():
        if path.name in shipped_names():
            return SHIPPED / f"{path.name}.toml"
        raise StudyError(no_such("study", path.name, shipped_names()) + "; or name a TOML file")
    raise StudyError(f"{path}: not found; need a TOML file, or one of {', '.join(shipped_names())}")


def shipped_names() -> list[str]:
    """The studies that the package ships, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def filled(text: str, paths: Mapping[str, str], *, row: str, seed: int) -> str:
    """A setting with ``{seed}``, ``{row}`` and the names of ``[paths]`` filled in.

    >>> filled("split.seed={seed}", {}, row="full", seed=3)
    'split.seed=3'

    Raises:
        StudyError: A path of a package that is not installed, or of no file in it.
    """
    for name, value in {"seed": str(seed), "row": row, **paths}.items():
        if "{" + name + "}" in text:
            text = text.replace("{" + name + "}", _placed(name, value))
    return text


def _placed(name: str, value: str) -> str:
    if not value.startswith(PACKAGE):
        return value
    package, _, pattern = value.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise StudyError(
            f"paths.{name}: the package {package} is not installed; pip install "
            f"{package.replace('_', '-')}"
        )
    files = sorted(Path(spec.origin).parent.glob(pattern))
    if not files:
        raise StudyError(f"paths.{name}: the package {package} has no file {pattern}")
    return str(files[0])


def _mistakes(study: Study) -> Iterator[str]:
    """Sentences about names in the declaration that stand for nothing."""
    if not study.data:
        yield "data: need a data set, such as [data.train]"
    if not study.rows or not study.measures:
        yield "need at least one row and one measure"
    for name, data in study.data.items():
        yield from _of_data(study, name, data)
    for name, row in study.rows.items():
        yield from _of_row(study, name, row)
    names = [measure.name for measure in study.measures]
    if len(set(names)) < len(names):
        yield "two measures have one name; each needs its own"
    for number, measure in enumerate(study.measures, start=1):
        yield from _of_measure(study, f"measures.{number}", measure)
    for number, claim in enumerate(study.claims, start=1):
        yield from _of_claim(study, f"claims.{number}", claim, names)


def _of_data(study: Study, name: str, data: Data) -> Iterator[str]:
    if data.like is None:
        return
    others = [other for other in study.data if other != name]
    if data.like not in others:
        yield f"data.{name}.like: {no_such('data set', data.like, others)}"
    elif study.data[data.like].like is not None:
        yield f"data.{name}.like: '{data.like}' is like another itself; name that one"


def _of_row(study: Study, name: str, row: Row) -> Iterator[str]:
    if row.data is not None and row.data not in study.data:
        yield f"rows.{name}.data: {no_such('data set', row.data, study.data)}"
    if not study.seeds_of(name):
        yield f"rows.{name}.seeds: none; need at least one"
    for other in study.needs(name):
        own, theirs = study.seeds_of(name), study.seeds_of(other)
        if len(theirs) > 1 and not set(own) <= set(theirs):
            yield f"rows.{name}: has seeds that '{other}', which it needs, has not"
    if _is_circular(study, name, ()):
        yield f"rows.{name}: needs itself, by start or context"


def _of_measure(study: Study, where: str, measure: Measure) -> Iterator[str]:
    if measure.on is not None and measure.on not in study.data:
        yield f"{where}.on: {no_such('data set', measure.on, study.data)}"
    rows = study.rows_of(measure)
    for row in rows:
        if row not in study.rows:
            yield f"{where}.rows: {no_such('row', row, study.rows)}"
    if measure.reference is not None and measure.reference not in rows:
        yield f"{where}.reference: {no_such('row', measure.reference, rows)}"
    yield from _of_exams(study, where, measure, rows)


def _of_exams(study: Study, where: str, measure: Measure, rows: Sequence[str]) -> Iterator[str]:
    """Rows of one measure are compared unit by unit, so they are measured on the same exams."""
    sets = {row: study.data_of(row) for row in rows if row in study.rows}
    if measure.on is not None or not all(data in study.data for data in sets.values()):
        return
    likes = {data: study.data[data].like or data for data in sets.values()}
    first, *others = sets or [""]
    for row in others:
        if likes[sets[row]] != likes[sets[first]]:
            yield (
                f"{where}: '{first}' is measured on {sets[first]} and '{row}' on {sets[row]}; name "
                f"rows of one data set (rows = [...]), or measure all on one (on = '{sets[first]}')"
            )
            return


def _of_claim(study: Study, where: str, claim: Claim, measures: list[str]) -> Iterator[str]:
    if claim.measure not in measures:
        yield f"{where}.measure: {no_such('measure', claim.measure, measures)}"
        return
    rows = study.rows_of(study.measure(claim.measure))
    for key, row in (("row", claim.row), ("less", claim.less)):
        if row is not None and row not in rows:
            yield f"{where}.{key}: {no_such('row', row, rows)} that '{claim.measure}' measures"


def _is_circular(study: Study, row: str, seen: tuple[str, ...]) -> bool:
    return row in seen or any(_is_circular(study, n, (*seen, row)) for n in study.needs(row))


_PARTS: Mapping[str, type[BaseModel]] = {
    "phantom": PhantomData,
    "split": SplitOfData,
    "data": Data,
    "rows": Row,
    "measures": Measure,
    "claims": Claim,
}


def _mistake_words(error: ValidationError) -> str:
    """The first mistake as one sentence, an unknown key with the nearest name."""
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    place = [str(part + 1 if isinstance(part, int) else part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        model = next((_PARTS[part] for part in place[-2::-1] if part in _PARTS), Study)
        known = no_such("key", place[-1], sorted(model.model_fields))
        return f"{'.'.join(place[:-1]) or 'the study'}: {known}"
    return f"{'.'.join(place)}: {first['msg'].removeprefix('Value error, ')}"


def function_of(name: str) -> Callable[..., Any]:
    """The function that ``module:function`` names, of the current folder or what is installed.

    Raises:
        StudyError: There is none.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise StudyError(f"'{name}': need module:function, such as my_study:on_mask")
    try:
        function = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise StudyError(
            f"'{name}': {error}; go to the folder that holds it, or put that into PYTHONPATH"
        ) from error
    if not callable(function):
        raise StudyError(f"'{name}': module '{module}' has no function '{attribute}'")
    return function  # type: ignore[no-any-return]
