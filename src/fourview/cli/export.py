"""``fourview export``: a checkpoint to pass on."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.checkpoint.release import export_checkpoint
from fourview.cli.say import say


def export(
    run: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    permission: str = "",
    whole: bool = False,
    json: bool = False,
) -> None:
    """Copy the weights of a run, with what is needed to use them, to a folder to be passed on.

    Args:
        run: Run or checkpoint folder.
        out: New folder.
        permission: Where the terms of the training data forbid passing weights on, as EMBED's do:
            what allows it all the same, such as the number of a contract; it is written beside the
            weights.
        whole: Also write the frozen weights of a text or image tower that a checkpoint names and
            does not hold, so that the copy needs no other file of weights. Their own licence says
            whether you may pass them on.
        json: Print what was made as JSON.
    """
    card = export_checkpoint(run, out, permission=permission, complete=whole)
    summary = {"out": str(out), "recipe": card.recipe, "terms": card.terms}
    if json:
        print(jsonlib.dumps(summary))
        return
    say(f"{out}: {card.recipe}; terms: {card.terms or 'none'}")
    for each in card.frozen:
        say(f"without the frozen {each.part} tower, digest {each.digest[:16]}; --whole adds it")
