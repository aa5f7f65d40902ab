"""What every page has in common: one file, nothing from the network, every value escaped."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fourview.report.exam_json import RESEARCH_USE

NOT_SCORED = "not scored"
OF_FIGURES = ("manifest", "result", "run", "study", "table")


def score_text(score: float | None) -> str:
    """A score with three digits; words where there is none."""
    return NOT_SCORED if score is None else f"{score:.3f}"


_ENVIRONMENT = Environment(
    loader=PackageLoader("fourview.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["score"] = score_text


def render(name: str, values: Mapping[str, Any]) -> str:
    """Fill in ``templates/NAME.html`` with NAME.css and NAME.js written into it.

    The page's own policy forbids the browser to load anything and to run any script but ours
    (named by its hash), so that a value which slipped through the escaping would still be text.
    """
    script = _source(f"{name}.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    page = _ENVIRONMENT.get_template(f"{name}.html").render(
        values,
        style=Markup("".join(map(_source, _styles(name)))),
        script=Markup(script),
        policy=policy,
        research_use=RESEARCH_USE,
    )
    return page.rstrip() + "\n"


def _styles(name: str) -> tuple[str, ...]:
    """The style sheets of a page: those of all pages, of pages of figures, and its own."""
    of_figures = ("sheet.css",) if name in OF_FIGURES else ()
    return ("base.css", *of_figures, f"{name}.css")


def _source(name: str) -> str:
    loader = _ENVIRONMENT.loader
    assert loader is not None
    return loader.get_source(_ENVIRONMENT, name)[0].replace("\r\n", "\n")
