"""``fourview convert``: published weights of others to a checkpoint."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.checkpoint.convert import as_json
from fourview.checkpoint.convert import convert as convert_weights
from fourview.cli.list_command import list_
from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused


def convert(
    *file: Path,
    weights: Annotated[str | None, Parameter(name=["--as"])] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    spec: str | None = None,
    accept_licence: bool = False,
    names: Path | None = None,
    module: Modules = (),
    json: bool = False,
) -> int:
    """Turn published weights that you have into a checkpoint that read and predict take.

    Args:
        file: The file as its authors published it (two where weights are in two); it is opened in a
            process of its own that builds tensors and runs no code. Without it the weights that can
            be converted are listed.
        weights: Name of the weights, such as gmic-1.
        out: Folder of the checkpoint.
        spec: Pixels that they are to read; without it those of the weights' authors.
        accept_licence: You have read the licence of the weights and accept it.
        names: JSON object of old and new names, for a file whose names differ from those known
            here.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print what was made as JSON.
    """
    use_modules(module)
    if not file:
        rest = {"weights": weights, "out": out, "spec": spec, "names": names}
        refuse_unused(convert, needs="a FILE", **rest, accept_licence=accept_licence)
        list_("conversions", json=json)
        return 0
    if weights is None or out is None:
        print("error: need --as WEIGHTS and -o FOLDER", file=sys.stderr)
        return 2
    card = convert_weights(
        file, weights, out, spec=spec, accept_licence=accept_licence, renamed=names
    )
    if json:
        print(as_json(card, out))
        return 0
    say(f"{out}: {card.recipe}, reads {card.pixel_spec}, digest {card.digest[:16]}")
    say(f"licence of the weights: {card.licence}")
    if not card.may_release:
        say("these weights must not be passed on")
    return 0
