"""JSON that comes from outside: a plain object, small and flat enough, of finite numbers only.

Python's own reader takes NaN and Infinity, which JSON does not have, keeps the last of two equal
names, and ends with a RecursionError where lists are nested some thousand deep.
"""

import json
import math
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20  # the split of a million patients has 20 MB
MAX_DEPTH = 32  # lists and objects inside each other; ours have 6


def read_json_object(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.
        max_bytes: A larger file is refused before it is read.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large or too deep, not UTF-8, not JSON or not an object, or it
            holds a number that is not finite, or a name twice.
    """
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes")
    return parse_json_object(data)


def parse_json_object(data: bytes | str) -> dict[str, Any]:
    """The object that a text in JSON holds; see ``read_json_object``.

    Raises:
        ValueError: The same.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        document = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text in UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(document, dict):
        raise ValueError(f"it is a JSON {_KINDS.get(type(document), 'null')}, need an object")  # noqa: TRY004
    _require_flat(document)
    return document


_KINDS = {list: "list", str: "text", bool: "truth value", int: "number", float: "number"}


def _require_flat(value: Any) -> None:
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in layer]
        layer = [item for items in inner for item in items if isinstance(item, dict | list)]
        if not layer:
            return
    raise ValueError(f"it is nested deeper than {MAX_DEPTH}")


def _no_constant(word: str) -> Any:
    raise ValueError(f"it holds {word}, which is no number in JSON")


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"it holds the number {word[:20]}, which is too large")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("it holds a name twice")
    return members
