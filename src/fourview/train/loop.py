"""The training loop: plain PyTorch, in one process or several, resumable with the same losses.

What decides a step is a function of (seed, epoch, step, process) alone: the order of samples, the
augmentation and dropout. So a run that was killed and resumed logs the losses of one that was not.
Every process holds the whole network; gradients, and what batch normalisation keeps, are averaged.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fourview.checkpoint.card import save_checkpoint
from fourview.checkpoint.named_weights import Part, named_weights
from fourview.contract import ContrastiveObjective, LossTerms, Objective, task
from fourview.errors import TrainingError
from fourview.feeds.augment import augment
from fourview.feeds.batches import Batches
from fourview.feeds.feed import Feed, step_seed
from fourview.nn.memory import keep_memory
from fourview.preprocess.spec import pixel_spec
from fourview.run_files import BEST, LAST, LOG
from fourview.train.batches import TrainingBatches, steps_per_epoch
from fourview.train.frozen import digest_of_frozen, lower_frozen
from fourview.train.gather import average_gradients, average_statistics
from fourview.train.grad_cache import contrastive_backward, freeze_statistics
from fourview.train.optimise import Schedule, make_optimizer
from fourview.train.processes import Processes
from fourview.train.recipe import Recipe
from fourview.train.run_folder import RunLog
from fourview.train.state import Position, load_state, save_state
from fourview.train.told import Told, line_of_epoch
from fourview.train.validate import LAST_EPOCH, Validation, validate

Progress = Callable[[str, int, int], None]  # what, done, of
MOST_WORKERS = 8  # of one process; a GPU takes 6 to 10 cores of decoding and cutting


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What belongs to the machine and not to the recipe; none of it changes a loss.

    Attributes:
        workers: Processes that read the store for each training process; None takes none on a
            processor and, beside a GPU, its share of the cores.
        save_every: Steps between saved states, beside one at the end of every epoch.
        eval_batch: Samples at a time in validation.
        device: Where to compute; None takes the best there is.
        log: Further logs of the run: ``csv``, or trackers (``train.trackers``).
    """

    workers: int | None = None
    save_every: int = 500
    eval_batch: int = 8
    device: str | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a checkpoint says of its training data, and the frozen towers that it need not hold."""

    digest: str
    trained_on: str
    terms: str
    may_release: bool
    as_they_came: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Whom to tell how a run goes.

    Attributes:
        progress: Called with what is done, how much, and of how much.
        say: Called with a line for a person.
        tell: Called with the number of steps and values, for trackers.
    """

    progress: Progress = field(default=lambda *_: None)
    say: Callable[[str], None] = field(default=lambda _: None)
    tell: Callable[[int, dict[str, float]], None] = field(default=lambda *_: None)


def reading_workers(asked: int | None, processes: Processes) -> int:
    """How many processes read for this one.

    Where nothing is asked: none on a processor, whose cores compute; beside GPUs a share of the
    cores, at most MOST_WORKERS.
    """
    if asked is not None or processes.device.type == "cpu":
        return asked or 0
    on_host = int(os.environ.get("LOCAL_WORLD_SIZE", processes.count))
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // on_host - 1))


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
        processes: Processes,
        watch: Watch,
    ) -> None:
        self.recipe, self.out, self.machine = recipe, out, machine
        self.processes, self.watch, self.provenance = processes, watch, provenance
        if processes.device.type == "cpu":
            keep_memory()
        if recipe.frozen_precision == "bfloat16":
            lower_frozen(objective)
        self.frozen = digest_of_frozen(objective.model)
        self.named = named_weights(objective.model, provenance.as_they_came)
        self.objective = objective.to(processes.device)
        self.optimizer = make_optimizer(objective, recipe.optimizer)
        per_epoch = len(training.order(seed=recipe.seed, epoch=0))
        self.steps = steps_per_epoch(per_epoch, recipe.batch)
        self.total_steps = recipe.total_steps(self.steps)
        self.epochs = math.ceil(self.total_steps / self.steps)
        self.schedule = Schedule(recipe.schedule, self.optimizer, self.total_steps)
        self.position = Position(
            epoch=0,
            step=0,
            total_steps=0,
            best_epoch=-1,
            best_value=math.inf,
            digest=provenance.digest,
        )
        self._restore()
        reads: dict[str, Any] = {
            "share": processes.share,
            "workers": reading_workers(machine.workers, processes),
            "pinned": processes.device.type == "cuda",
        }
        self.training = TrainingBatches(training, recipe.batch, seed=recipe.seed, **reads)
        at_a_time = recipe.batch if self._compares else machine.eval_batch
        self.validation = Batches(validation, at_a_time, **reads)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.objective.model

    @property
    def _compares(self) -> bool:
        """Whether the loss is that of a whole batch, in which samples are compared."""
        return isinstance(self.objective, ContrastiveObjective)

    def fit(self) -> None:
        """Train to the last epoch."""
        log = RunLog(
            self.out / LOG,
            keep_steps=self.position.total_steps,
            keep_epochs=self.position.epoch,
            writes=self.processes.writes,
        )
        told = Told(self.total_steps, done=self.position.total_steps)
        try:
            for epoch in range(self.position.epoch, self.epochs):
                if self._is_stuck(epoch):
                    waited = self.recipe.patience_epochs
                    self.watch.say(f"stopped: no better checkpoint for {waited} epochs")
                    break
                self._epoch(epoch, log, told)
        finally:
            log.close()

    def _is_stuck(self, epoch: int) -> bool:
        """Whether the epochs before this one have not been better for too long."""
        patience = self.recipe.patience_epochs
        return patience is not None and epoch - 1 - self.position.best_epoch >= patience

    def _epoch(self, epoch: int, log: RunLog, told: Told) -> None:
        self._to_training()
        start, stop = self.position.step, min(self.steps, self.total_steps - epoch * self.steps)
        clock = time.perf_counter()
        batches = self.training.of_epoch(epoch, start=start, stop=stop)
        for step, batch in enumerate(batches, start=start):
            waited = time.perf_counter() - clock
            terms, rate = self._step(epoch, step, batch.to(self.processes.device))
            self._require_part(terms)
            self.position = replace(
                self.position,
                epoch=epoch,
                step=step + 1,
                total_steps=self.position.total_steps + 1,
            )
            means = self._means(epoch, step, terms)
            seconds = time.perf_counter() - clock
            self._log_step(log, step, means, lr=rate, seconds=seconds, waited=waited)
            what = f"training {self.recipe.name}"  # one bar for the whole run
            self.watch.progress(what, self.position.total_steps, self.total_steps)
            if self.position.total_steps % self.machine.save_every == 0:
                self._save()
            clock = time.perf_counter()
        validation = self._validate()
        self.schedule.after_epoch(validation.loss_of(self.recipe.select))
        best = self._keep_best(epoch, validation)
        self.position = replace(self.position, epoch=epoch + 1, step=0)
        self._log_epoch(log, epoch, best, validation, told, time.perf_counter() - clock)
        self._save()

    def _to_training(self) -> None:
        self.objective.train()
        if isinstance(self.objective, ContrastiveObjective):
            contrast = self.recipe.contrast
            freeze_statistics(
                self.objective, chunk=contrast.chunk, frozen=contrast.frozen_statistics
            )

    def _step(self, epoch: int, step: int, batch: Any) -> tuple[LossTerms, float]:
        seed = step_seed(self.recipe.seed, epoch, step + 1)
        torch.manual_seed(seed + self.processes.rank)  # dropout
        generator = torch.Generator().manual_seed(seed + self.processes.rank)
        batch = augment(batch, self.recipe.augment, generator)
        rate = self.schedule.rate
        self.objective.progress = self.position.total_steps / self.total_steps
        self.optimizer.zero_grad()
        terms = self._backward(batch)
        average_statistics(self.objective)
        clip = self.recipe.optimizer.clip_norm
        if clip is not None:
            nn.utils.clip_grad_norm_(self.objective.parameters(), clip)
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
        """The loss of a batch, its gradients added to the weights' and averaged."""
        if isinstance(self.objective, ContrastiveObjective):
            return contrastive_backward(
                self.objective,
                batch,
                chunk=self.recipe.contrast.chunk,
                gathered=self.recipe.contrast.gathered,
                autocast=self._autocast,
            )
        with self._autocast():
            terms: LossTerms = self.objective(batch)
        torch.autograd.backward(terms.total)
        average_gradients(self.objective)
        return terms

    def _autocast(self) -> torch.autocast:
        lower = self.recipe.precision == "bfloat16"
        return torch.autocast(self.processes.device.type, torch.bfloat16, enabled=lower)

    def _means(self, epoch: int, step: int, terms: LossTerms) -> dict[str, float]:
        """Loss and parts over the processes; one that is not finite stops the run."""
        names = ["total", *terms.parts]
        values = torch.stack([v.detach().float() for v in (terms.total, *terms.parts.values())])
        mean = self.processes.mean(values).tolist()
        if not math.isfinite(mean[0]):
            raise TrainingError(
                f"the loss of epoch {epoch}, step {step} is {mean[0]} (terms {names}: {mean}); "
                "lower optimizer.lr or set optimizer.clip_norm"
            )
        return dict(zip(names, mean, strict=True))

    def _log_step(
        self, log: RunLog, step: int, means: dict[str, float], *, lr: float, **seconds: float
    ) -> None:
        parts = dict(means)
        log.write(
            "step",
            epoch=self.position.epoch,
            step=step,
            total_steps=self.position.total_steps,
            lr=lr,
            loss=parts.pop("total"),
            parts=parts,
            **{name: round(value, 4) for name, value in seconds.items()},
        )
        named = {f"train/{name}": value for name, value in parts.items()}
        values = {"train/loss": means["total"], "lr": lr, **named}
        self.watch.tell(self.position.total_steps, values)

    def _log_epoch(
        self,
        log: RunLog,
        epoch: int,
        best: bool,
        validation: Validation,
        told: Told,
        validated: float,
    ) -> None:
        if not self.processes.writes:
            return
        means = log.means(epoch)
        row = validation.as_row()
        log.write(
            "epoch",
            epoch=epoch,
            total_steps=self.position.total_steps,
            best=best,
            training_loss=means["loss"],
            training_parts=means["parts"],
            **row,
            seconds=round(means["seconds"] + validated, 3),
            validation_seconds=round(validated, 3),
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        values = {
            "validation/loss": row["validation_loss"],
            "validation/auc": row["validation_auc"],
            **{f"validation/{name}": value for name, value in row["validation_parts"].items()},
        }
        known = {name: value for name, value in values.items() if value is not None}
        self.watch.tell(self.position.total_steps, known)
        seconds = means["seconds"] + validated
        left = told.seconds_left(self.position.total_steps)
        line = line_of_epoch(epoch, self.epochs, means, validation, self.position, seconds, left)
        self.watch.say(line)

    def _validate(self) -> Validation:
        self.objective.eval()
        return validate(
            self.objective,
            self.validation,
            task(self.recipe.task) if self.recipe.task else None,
            processes=self.processes,
            autocast=self.recipe.precision == "bfloat16",
        )

    def _keep_best(self, epoch: int, validation: Validation) -> bool:
        value = validation.value_of(self.recipe.select)
        kept_anyway = self.position.best_epoch < 0 or self.recipe.select == LAST_EPOCH
        if not (kept_anyway or value < self.position.best_value):
            return False
        value = math.inf if math.isnan(value) else value
        self.position = replace(self.position, best_epoch=epoch, best_value=value)
        if self.processes.writes:
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
                frozen=self.named,
            )
        return True

    def _save(self) -> None:
        if self.processes.writes:
            save_state(
                self.out / LAST,
                self.position,
                self.schedule.state(),
                self.model,
                self.optimizer,
                frozen=self.frozen,
            )
        self.processes.wait()

    def _restore(self) -> None:
        state = load_state(self.out / LAST, self.model, self.optimizer, frozen=self.frozen)
        if state is None:
            return
        position, schedule = state
        if position.digest != self.provenance.digest:
            raise TrainingError(
                f"{self.out}: was begun with another recipe, manifest or store; "
                "take another folder or the same settings"
            )
        self.position = position
        self.schedule.restore(schedule)
