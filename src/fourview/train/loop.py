"""The training loop: plain PyTorch on accelerate, resumable at any step with the same losses.

What decides a step is a function of (seed, epoch, step, process) alone: the order of samples, the
augmentation and dropout. So a run that was killed and resumed logs the losses of one that was not.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fourview.checkpoint.card import save_checkpoint
from fourview.contract import ContrastiveObjective, LossTerms, Objective, task
from fourview.errors import TrainingError
from fourview.feeds.augment import augment
from fourview.feeds.batches import batches
from fourview.feeds.feed import Feed, step_seed
from fourview.nn.memory import keep_memory
from fourview.preprocess.spec import pixel_spec
from fourview.run_files import BEST, LAST, LOG
from fourview.train.batches import epoch_batches, steps_per_epoch
from fourview.train.grad_cache import contrastive_backward, freeze_statistics
from fourview.train.optimise import Schedule, make_optimizer
from fourview.train.recipe import Recipe
from fourview.train.run_folder import RunLog
from fourview.train.state import Position, load_state, save_state
from fourview.train.validate import LAST_EPOCH, Validation, validate

Progress = Callable[[str, int, int], None]  # what, done, of


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What belongs to the machine and not to the recipe; none of it changes a loss.

    Attributes:
        workers: Processes that read the store for each training process.
        save_every: Steps between saved states, beside one at the end of every epoch.
        eval_batch: Samples at a time in validation.
    """

    workers: int = 0
    save_every: int = 500
    eval_batch: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a checkpoint says of its training data."""

    digest: str
    trained_on: str
    terms: str
    may_release: bool


class Loop:
    """One run; ``fit`` goes from wherever its folder says to the end."""

    def __init__(
        self,
        recipe: Recipe,
        objective: Objective,
        *,
        training: Feed,
        validation: Feed,
        out: Path,
        provenance: Provenance,
        machine: Machine,
        progress: Progress | None = None,
    ) -> None:
        from accelerate import Accelerator

        self.recipe, self.out, self.machine = recipe, out, machine
        self.training, self.validation = training, validation
        self.provenance = provenance
        self.progress = progress or (lambda *_: None)
        self.accelerator = Accelerator(
            mixed_precision="bf16" if recipe.precision == "bfloat16" else "no"
        )
        if self.accelerator.device.type == "cpu":
            keep_memory()
        optimizer = make_optimizer(objective, recipe.optimizer)
        per_epoch = len(training.order(seed=recipe.seed, epoch=0))
        self.steps = steps_per_epoch(per_epoch, recipe.batch)
        self.total_steps = recipe.total_steps(self.steps)
        self.epochs = math.ceil(self.total_steps / self.steps)
        self.schedule = Schedule(recipe.schedule, optimizer, self.total_steps)
        self.position = Position(
            epoch=0,
            step=0,
            total_steps=0,
            best_epoch=-1,
            best_value=math.inf,
            digest=provenance.digest,
        )
        self._restore(objective.model, optimizer)
        self.objective: Any = self.accelerator.prepare(objective)
        self.optimizer: Any = self.accelerator.prepare(optimizer)

    @property
    def bare(self) -> Objective:
        """The objective without what ``accelerate`` put around it."""
        objective: Objective = self.accelerator.unwrap_model(self.objective)
        return objective

    @property
    def model(self) -> nn.Module:
        """The bare network."""
        return self.bare.model

    def fit(self) -> None:
        """Train to the last epoch."""
        log = RunLog(
            self.out / LOG, keep_steps=self.position.total_steps, keep_epochs=self.position.epoch
        )
        try:
            for epoch in range(self.position.epoch, self.epochs):
                if self._is_stuck(epoch):
                    break
                self._epoch(epoch, log)
        finally:
            log.close()

    def _is_stuck(self, epoch: int) -> bool:
        """Whether the epochs before this one have not been better for too long."""
        patience = self.recipe.patience_epochs
        return patience is not None and epoch - 1 - self.position.best_epoch >= patience

    def _epoch(self, epoch: int, log: RunLog) -> None:
        self.objective.train()
        contrast = self.recipe.contrast
        if isinstance(self.bare, ContrastiveObjective):
            freeze_statistics(self.bare, chunk=contrast.chunk, frozen=contrast.frozen_statistics)
        start = self.position.step
        batches_of_epoch = epoch_batches(
            self.training,
            self.recipe.batch,
            seed=self.recipe.seed,
            epoch=epoch,
            start=start,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            workers=self.machine.workers,
            stop=min(self.steps, self.total_steps - epoch * self.steps),
        )
        for step, batch in enumerate(batches_of_epoch, start=start):
            terms, rate = self._step(epoch, step, batch.to(self.accelerator.device))
            self._require_part(terms)
            self.position = replace(
                self.position,
                epoch=epoch,
                step=step + 1,
                total_steps=self.position.total_steps + 1,
            )
            self._log_step(log, epoch, step, terms, rate)
            self.progress(f"epoch {epoch + 1} of {self.epochs}", step + 1, self.steps)
            if self.position.total_steps % self.machine.save_every == 0:
                self._save()
        found = self._validate()
        self.schedule.after_epoch(found.loss_of(self.recipe.select))
        best = self._keep_best(epoch, found)
        self.position = replace(self.position, epoch=epoch + 1, step=0)
        if self.accelerator.is_main_process:
            log.write("epoch", epoch=epoch, best=best, **found.as_row())
        self._save()

    def _step(self, epoch: int, step: int, batch: Any) -> tuple[LossTerms, float]:
        seed = step_seed(self.recipe.seed, epoch, step + 1)
        process = self.accelerator.process_index
        torch.manual_seed(seed + process)  # dropout
        generator = torch.Generator().manual_seed(seed + process)
        batch = augment(batch, self.recipe.augment, generator)
        rate = self.schedule.rate
        self.bare.progress = self.position.total_steps / self.total_steps
        self.optimizer.zero_grad()
        terms = self._backward(batch)
        if self.recipe.optimizer.clip_norm is not None:
            self.accelerator.clip_grad_norm_(
                self.objective.parameters(), self.recipe.optimizer.clip_norm
            )
        self.optimizer.step()
        self.schedule.after_step()
        return terms, rate

    def _require_part(self, terms: LossTerms) -> None:
        """A part of the loss that chooses checkpoints must be one that this objective has."""
        known = ("loss", "auc", LAST_EPOCH, *terms.parts)
        if self.recipe.select not in known:
            raise TrainingError(
                f"select is '{self.recipe.select}', need one of {', '.join(known)}; "
                "name one with --set select=NAME"
            )

    def _backward(self, batch: Any) -> LossTerms:
        """The loss of a batch, its gradients added to the weights'."""
        if isinstance(self.bare, ContrastiveObjective):
            return contrastive_backward(
                self.bare,
                batch,
                chunk=self.recipe.contrast.chunk,
                gathered=self.recipe.contrast.gathered,
                autocast=self.accelerator.autocast,
            )
        with self.accelerator.autocast():
            terms: LossTerms = self.objective(batch)
        self.accelerator.backward(terms.total)
        return terms

    def _log_step(self, log: RunLog, epoch: int, step: int, terms: LossTerms, rate: float) -> None:
        """Mean over the processes; a loss that is not finite stops the run with its place."""
        names = ["total", *terms.parts]
        values = torch.stack([v.detach().float() for v in (terms.total, *terms.parts.values())])
        mean = self.accelerator.reduce(values, reduction="mean").tolist()
        if not math.isfinite(mean[0]):
            raise TrainingError(
                f"the loss of epoch {epoch}, step {step} is {mean[0]} (terms {names}: {mean}); "
                "lower optimizer.lr or set optimizer.clip_norm"
            )
        if self.accelerator.is_main_process:
            parts = dict(zip(names, mean, strict=True))
            log.write(
                "step",
                epoch=epoch,
                step=step,
                total_steps=self.position.total_steps,
                lr=rate,
                loss=parts.pop("total"),
                parts=parts,
            )

    def _validate(self) -> Validation:
        self.objective.eval()
        compares = isinstance(self.bare, ContrastiveObjective)  # a loss is that of its batch
        at_a_time = self.recipe.batch if compares else self.machine.eval_batch
        return validate(
            self.bare,
            batches(self.validation, at_a_time, workers=self.machine.workers),
            task(self.recipe.task) if self.recipe.task else None,
            device=self.accelerator.device,
            autocast=self.recipe.precision == "bfloat16",
        )

    def _keep_best(self, epoch: int, found: Validation) -> bool:
        value = found.value_of(self.recipe.select)
        kept_anyway = self.position.best_epoch < 0 or self.recipe.select == LAST_EPOCH
        if not (kept_anyway or value < self.position.best_value):
            return False
        value = math.inf if math.isnan(value) else value
        self.position = replace(self.position, best_epoch=epoch, best_value=value)
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.out / BEST,
                self.model,
                recipe=self.recipe.name,
                family=self.recipe.family,
                config=self.recipe.model,
                spec=pixel_spec(self.recipe.pixel_spec),
                terms=self.provenance.terms,
                may_release=self.provenance.may_release,
                trained_on=self.provenance.trained_on,
                feed=self.recipe.feed,
                split=self.recipe.split,
            )
        return True

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            save_state(
                self.out / LAST,
                self.position,
                self.schedule.state(),
                self.model,
                self.optimizer,
            )
        self.accelerator.wait_for_everyone()

    def _restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        found = load_state(self.out / LAST, model, optimizer)
        if found is None:
            return
        position, schedule = found
        if position.digest != self.provenance.digest:
            raise TrainingError(
                f"{self.out}: was begun with another recipe, manifest or store; "
                "take another folder or the same settings"
            )
        self.position = position
        self.schedule.restore(schedule)
