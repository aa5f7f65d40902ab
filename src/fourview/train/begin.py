"""Begin a run with weights that another run, or a conversion, left; and say which were taken.

Own family:     every weight is taken. Only where the task differs, and with it the number of
                classes, do the weights of those classes begin anew.
Earlier stage:  those that ``Stage.takes`` names, and all of them; so too of a network of the family
                that has other parts.
Other family:   the image tower as an encoder, or whatever has the same name and shape.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from torch import Tensor, nn

from fourview.checkpoint.card import ModelCard, load_checkpoint
from fourview.errors import TrainingError
from fourview.models.find import find_family
from fourview.nn.image_tower import tower_as_encoder
from fourview.train.recipe import Recipe

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a network has of the weights that it was given.

    Attributes:
        recipe: FAMILY:RECIPE of the run that they are of.
        taken: Names of the network's tensors that have them.
        anew: Names of those that begin with the run's own random weights.
    """

    recipe: str
    taken: tuple[str, ...]
    anew: tuple[str, ...]

    def __str__(self) -> str:
        """One line for a person, such as ``took 3 of 5 tensors of ...``."""
        whole = len(self.taken) + len(self.anew)
        if not self.anew:
            return f"began with all {whole} tensors of {self.recipe}"
        shown = ", ".join(self.anew[:4]) + (", ..." if len(self.anew) > 4 else "")
        return f"began with {len(self.taken)} of {whole} tensors of {self.recipe}; anew: {shown}"


def begin_with(model: nn.Module, recipe: Recipe, start: Path) -> Begun:
    """Put the weights of a checkpoint into ``model``, which the recipe built.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        TrainingError: Its weights do not fit; the message names the first that does not.
    """
    other, card, theirs = load_checkpoint(start)
    family = find_family(recipe.family)
    state, takes = other.state_dict(), family.stages[recipe.stage].takes
    if (family.backbone, theirs.backbone) == ("encoder", "image_tower"):
        state, takes = tower_as_encoder(state), ("encoder.",)
    elif card.family == recipe.family and _is_complete(model, state):
        own = _own(model, recipe, state, card)
        if not takes or _fits(own, model):  # else of a network with other parts than these
            state, takes = own, ()
    state = {name: value for name, value in state.items() if not takes or name.startswith(takes)}
    ours = model.state_dict()
    for name in sorted(set(state) & set(ours)):
        if state[name].shape != ours[name].shape:
            _refuse(start, card, name, state[name], ours[name])
    lacking = sorted(
        name for name in ours if takes and name.startswith(takes) and name not in state
    )
    if lacking or (takes and set(state) - set(ours)):
        name = (lacking or sorted(set(state) - set(ours)))[0]
        raise TrainingError(f"{start}: the weights of {card.recipe} do not fit at '{name}'")
    model.load_state_dict({k: v for k, v in state.items() if k in ours}, strict=False)
    taken = tuple(name for name in ours if name in state)
    if not taken:
        raise TrainingError(
            f"{start}: no weight of {card.recipe} has a place in '{recipe.name}'; "
            f"start from a run of '{recipe.family}'"
        )
    anew = tuple(name for name in ours if name not in state)
    return Begun(recipe=card.recipe, taken=taken, anew=anew)


def _is_complete(model: nn.Module, state: State) -> bool:
    """Whether it is of a whole network of this kind, and not of an earlier stage only."""
    return set(model.state_dict()) <= set(state)


def _fits(state: State, model: nn.Module) -> bool:
    """Whether every tensor that both have is of one shape."""
    ours = model.state_dict()
    return all(value.shape == ours[k].shape for k, value in state.items() if k in ours)


def _own(model: nn.Module, recipe: Recipe, state: State, card: ModelCard) -> State:
    """The weights of a run of the same family, without those of other classes."""
    family, ours = find_family(recipe.family), model.state_dict()
    differ = {k for k in ours if state[k].shape != ours[k].shape}
    if differ and card.config.get("task") != recipe.task:
        config: Any = TypeAdapter(family.config).validate_python(card.config)
        asked = family.build(replace(config, task=recipe.task)).state_dict()
        of_classes = {k for k in differ if k in asked and asked[k].shape == ours[k].shape}
        return {k: v for k, v in state.items() if k not in of_classes}
    return state


def _refuse(start: Path, card: ModelCard, name: str, theirs: Tensor, ours: Tensor) -> None:
    raise TrainingError(
        f"{start}: {card.recipe} does not fit: '{name}' is {tuple(theirs.shape)} there and "
        f"{tuple(ours.shape)} here; start from a run with the same network, or change model.* "
        "with --set until they are alike"
    )
