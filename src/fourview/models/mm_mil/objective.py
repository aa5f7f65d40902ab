"""What MM-MIL minimises: a local and a global score of documents, each contrasted both ways."""

from dataclasses import dataclass

from fourview.contract import Encoded, LossTerms
from fourview.losses.mm_mil import bag_loss
from fourview.models.mm_mil.model import MmMil
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MmMilObjectiveConfig:
    """Our choices where the text at hand leaves them open.

    Attributes:
        sharpness: gamma of the soft maximum over regions.
        region_temperature: Of the weights of regions around the critical one.
        negatives: Rows of one patient are no negatives of each other, or all rows are.
    """

    sharpness: float = 10.0
    region_temperature: float = 0.1
    negatives: Negatives = "other_patients"


class MmMilObjective(TwoTowerObjective):
    """1/2 sym of the LSE score plus 1/2 sym of the non-local score."""

    image_parts: tuple[str, ...] = ("tokens",)
    text_parts: tuple[str, ...] = ("sentences", "sentence_mask")

    def __init__(self, model: MmMil, config: MmMilObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config

    def compare(self, encoded: Encoded) -> LossTerms:
        """The loss of a batch."""
        model: MmMil = self.model  # type: ignore[assignment]
        rows = encoded.text_image
        local, whole = bag_loss(
            model.image_head(encoded.images["tokens"][rows]),
            model.text_head(encoded.texts["sentences"]),
            encoded.texts["sentence_mask"],
            model.scale(model.logit_scale),
            patients_of(encoded, rows, self.config.negatives),
            sharpness=self.config.sharpness,
            region_temperature=self.config.region_temperature,
        )
        return LossTerms(total=local + whole, parts={"local": local, "global": whole})
