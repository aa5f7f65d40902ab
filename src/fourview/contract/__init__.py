"""What training and prediction may know of a model; everything else is the model's own."""

from fourview.contract.batch import NUM_SIDES, NUM_SLOTS, ExamBatch, PatchBatch, TextBatch
from fourview.contract.contrastive import ContrastiveObjective, Encoded, captions_of, encoded_batch
from fourview.contract.family import ModelFamily, PublishedWeights, Stage
from fourview.contract.output import LossTerms, ModelOutput, Objective
from fourview.contract.tasks import TASKS, Task, task

__all__ = [
    "NUM_SIDES",
    "NUM_SLOTS",
    "TASKS",
    "ContrastiveObjective",
    "Encoded",
    "ExamBatch",
    "LossTerms",
    "ModelFamily",
    "ModelOutput",
    "Objective",
    "PatchBatch",
    "PublishedWeights",
    "Stage",
    "Task",
    "TextBatch",
    "captions_of",
    "encoded_batch",
    "task",
]
