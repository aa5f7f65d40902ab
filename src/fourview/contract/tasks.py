"""What a model is asked, and the names of its scores."""

from dataclasses import dataclass

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
    """

    name: str
    classes: tuple[str, ...]
    exclusive: bool = True

    @property
    def num_classes(self) -> int:
        """How many scores a breast gets."""
        return len(self.classes)

    @property
    def is_suspicion(self) -> bool:
        """Whether the first score says how suspicious a breast is."""
        return self.num_classes == 1 or not self.exclusive

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """For each label that has a target, its classes."""
        return {self.name: self.classes} if self.exclusive else {c: (c,) for c in self.classes}

    def scores(self, logits: Float[Tensor, "*many class"]) -> Float[Tensor, "*many class"]:
        """Logits to scores in [0, 1]."""
        return logits.sigmoid() if self.is_suspicion else logits.softmax(dim=-1)


TASKS = {
    task.name: task
    for task in (
        Task(name="cancer", classes=("cancer",)),
        Task(name="abnormality", classes=("cancer", "benign"), exclusive=False),
        Task(name="density", classes=("A", "B", "C", "D")),
        Task(name="malignant", classes=("cancer",)),  # of findings
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
