"""Write the reference parts of docs/api.md anew from signatures and docstrings.

Run:     python docs/make_api.py; the examples between the parts are written by hand and kept.
Test:    tests/architecture/test_api.py fails where the page is not what this writes.
"""

import inspect
import re
from pathlib import Path
from typing import Any

import fourview

PAGE = Path(__file__).with_name("api.md")
PART = re.compile(r"(<!-- reference: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "References")


def page(text: str) -> str:
    """The page with its reference parts written anew."""
    return PART.sub(lambda m: m[1] + "".join(map(entry, m[2].split())) + m[3], text)


def entry(name: str) -> str:
    """One name: how it is called, and what its docstring says."""
    thing = getattr(fourview, name)
    text = f"\n#### `fourview.{name}`\n```text\n{called(name, thing)}\n```\n{described(thing)}"
    if inspect.isclass(thing):
        bases = [
            b for b in reversed(thing.__mro__) if b.__module__.startswith("fourview.entities.")
        ]
        own = {key: value for base in bases for key, value in vars(base).items()}
        methods = [
            (key, value)
            for key, value in {**own, **vars(thing)}.items()
            if not key.startswith("_") and (inspect.isfunction(value) or kind_of(value))
        ]
        for key, value in methods:
            doc = inspect.getdoc(value) or ""
            text += f"- `.{key}{'' if kind_of(value) == 'property' else '()'}`: {first(doc)}\n"
    return text


def kind_of(value: Any) -> str:
    """What a class holds beside functions."""
    if isinstance(value, property):
        return "property"
    return "method" if isinstance(value, classmethod | staticmethod) else ""


def called(name: str, thing: Any) -> str:
    """The signature, one parameter a line where it is long; of an error, its name."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return name
    signature = inspect.signature(thing)
    returns = "" if inspect.isclass(thing) else f" -> {type_text(signature.return_annotation)}"
    parts, is_star = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not is_star:
            parts.append("*")
            is_star = True
        default = ""
        if parameter.default is not parameter.empty:
            default = f" = {default_text(parameter.default)}"
        parts.append(f"{parameter.name}: {type_text(parameter.annotation)}{default}")
    whole = f"{name}({', '.join(parts)}){returns}"
    if len(whole) <= 100:
        return whole
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def type_text(annotation: Any) -> str:
    """A type without the modules it is from."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text).replace("NoneType", "None")


def default_text(value: Any) -> str:
    """A default; what is long or made when called is shown as dots."""
    text = repr(value)
    return text if len(text) <= 40 and "<" not in text and " at 0x" not in text else "..."


def described(thing: Any) -> str:
    """A docstring as text and lists."""
    lines, is_list = [], False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if line.endswith(":") and line[:-1] in SECTIONS:
            is_list = line[:-1] not in ("Returns", "References")
            lines.append(f"**{line[:-1]}**")
            if is_list:
                lines.append("")
        elif is_list and re.match(r"    \w+: ", line):
            key, _, rest = line.strip().partition(": ")
            lines.append(f"- `{key}`: {rest}")
        else:
            lines.append(("  " if is_list and line else "") + line.strip())
    return "\n".join(lines).replace("``", "`") + "\n\n"


def first(doc: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(doc.split("\n\n", maxsplit=1)[0].split()).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
