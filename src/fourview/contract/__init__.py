"""What training and prediction may know of a model; everything else is the model's own."""

from fourview.contract.batch import NUM_SIDES, NUM_SLOTS, ExamBatch, PatchBatch, TextBatch
from fourview.contract.contrastive import ContrastiveObjective, Encoded, captions_of, encoded_batch
from fourview.contract.dissection import Dissection, Switch
from fourview.contract.family import ModelFamily, PublishedWeights, Reads, Stage
from fourview.contract.language import LanguageImageModel
from fourview.contract.output import (
    NO_CLASS,
    DetectedBoxes,
    LossTerms,
    ModelOutput,
    Objective,
)
from fourview.contract.tasks import TASKS, Task, task

__all__ = [
    "NO_CLASS",
    "NUM_SIDES",
    "NUM_SLOTS",
    "TASKS",
    "ContrastiveObjective",
    "DetectedBoxes",
    "Dissection",
    "Encoded",
    "ExamBatch",
    "LanguageImageModel",
    "LossTerms",
    "ModelFamily",
    "ModelOutput",
    "Objective",
    "PatchBatch",
    "PublishedWeights",
    "Reads",
    "Stage",
    "Switch",
    "Task",
    "TextBatch",
    "captions_of",
    "encoded_batch",
    "task",
]
