"""What a model is asked, and the names of its scores."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fourview.errors import RecipeError
from fourview.suggest import no_such


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a model is asked.

    Attributes:
        name: The label, a column of the manifest's breasts; or a name of its own where each class
            is ``COLUMN-VALUE``, and breasts with other values are then unknown.
        classes: Names of the scores. One class is a yes or no (sigmoid); several exclude each
            other (softmax), and the target is the index of the class.
        exclusive: False where an image may be of several classes, or of none: each class is then
            a yes or no with a target under the class's own name. The first class is the suspicion
            that a reader is shown.
        parts: Names of tasks that are asked at once and do not compete: their classes stand behind
            each other here. The first one is the suspicion that a reader is shown.
    """

    name: str
    classes: tuple[str, ...]
    exclusive: bool = True
    parts: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of scores of a breast."""
        return len(self.classes)

    @property
    def is_suspicion(self) -> bool:
        """Whether the first score says how suspicious a breast is."""
        if self.parts:
            return self.asked[0].is_suspicion
        return self.num_classes == 1 or not self.exclusive

    @property
    def asked(self) -> "tuple[Task, ...]":
        """The tasks that are asked at once; itself where it is one."""
        return tuple(TASKS[name] for name in self.parts) or (self,)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The classes of each label that has a target."""
        if self.parts:
            return {label: classes for t in self.asked for label, classes in t.labels.items()}
        return {self.name: self.classes} if self.exclusive else {c: (c,) for c in self.classes}

    def scores(self, logits: Float[Tensor, "*many class"]) -> Float[Tensor, "*many class"]:
        """Logits to scores in [0, 1]."""
        if self.parts:
            return torch.cat([t.scores(one) for t, one in self.split(logits)], dim=-1)
        return logits.sigmoid() if self.is_suspicion else logits.softmax(dim=-1)

    def split(
        self, logits: Float[Tensor, "*many class"]
    ) -> "list[tuple[Task, Float[Tensor, '*many some']]]":
        """Each task that is asked, and its logits."""
        widths = [t.num_classes for t in self.asked]
        return list(zip(self.asked, torch.split(logits, widths, dim=-1), strict=True))


TASKS = {
    task.name: task
    for task in (
        Task(name="cancer", classes=("cancer",)),
        Task(name="abnormality", classes=("cancer", "benign"), exclusive=False),
        Task(name="density", classes=("A", "B", "C", "D")),
        Task(name="malignant", classes=("cancer",)),  # of findings
        Task(
            name="cancer_density",
            classes=("cancer", "A", "B", "C", "D"),
            parts=("cancer", "density"),
        ),
        Task(name="birads7", classes=tuple(f"birads-{c}" for c in range(7))),
        Task(name="birads3", classes=tuple(f"birads-{c}" for c in range(3))),
        Task(name="birads5", classes=tuple(f"birads-{c}" for c in range(1, 6))),
    )
}


def task(name: str) -> Task:
    """The task of that name.

    Raises:
        RecipeError: There is none.
    """
    if name not in TASKS:
        raise RecipeError(no_such("task", name, sorted(TASKS)))
    return TASKS[name]
