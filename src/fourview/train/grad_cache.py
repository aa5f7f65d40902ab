"""Contrastive batches of any size in the memory of a few samples, with exact gradients.

1. Encode a few samples at a time, without keeping what gradients need; remember the random state.
2. Take heads and loss over all outputs (of all processes), and the gradient of the outputs.
3. Encode each few again with the same random state, and pass on their part of that gradient.

Encoders run twice forward, once backward. Gradients are those of one big batch as long as a sample
does not change another's output; batch statistics would, so encoders with batch normalisation run
on their running statistics or are refused.

Method:  Gao et al. 2021, Scaling deep contrastive learning batch size under memory limited setup.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fourview.contract import (
    ContrastiveObjective,
    ExamBatch,
    LossTerms,
    TextBatch,
    captions_of,
    encoded_batch,
)
from fourview.errors import TrainingError
from fourview.train.gather import average_gradients, gather, num_processes, pad_to

Outputs = dict[str, Tensor]
Context = Callable[[], AbstractContextManager[Any]]
IMAGES, TEXTS = "images", "texts"


def contrastive_backward(
    objective: ContrastiveObjective,
    batch: ExamBatch,
    *,
    chunk: int | None = None,
    gathered: bool = True,
    autocast: Context = nullcontext,
) -> LossTerms:
    """Loss and gradients of a batch; those of several processes are one contrastive batch.

    Args:
        objective: Objective whose gradients are added to, and then averaged over the processes.
        batch: This process's part.
        chunk: Images, or texts, that are encoded at a time; None encodes all at once and once.
        gathered: Compare with the samples of the other processes too.
        autocast: Context of every forward pass.
    """
    parts = list(_parts(objective, batch, chunk))
    cached = chunk is not None and len(parts) > 2
    for part in parts:
        part.random = RandomState.now(batch.pixels.device)
        with torch.set_grad_enabled(not cached), autocast():
            part.outputs = part.encode()
            part.count = len(next(iter(part.outputs.values())))
    joined = {kind: _joined([p for p in parts if p.kind == kind]) for kind in (IMAGES, TEXTS)}
    if cached:
        joined = {kind: _leaves(outputs) for kind, outputs in joined.items()}
    with autocast():
        encoded = encoded_batch(batch, joined[IMAGES], joined[TEXTS])
        terms = objective.compare(gather(encoded) if gathered else encoded)
    torch.autograd.backward(terms.total)
    if cached:
        after = RandomState.now(batch.pixels.device)
        for kind, outputs in joined.items():
            if any(p.requires_grad for p in objective.encoders[kind].parameters()):
                _pass_on([p for p in parts if p.kind == kind], outputs, autocast)
        after.restore()
    average_gradients(objective)
    return terms


def freeze_statistics(objective: ContrastiveObjective, *, chunk: int | None, frozen: bool) -> None:
    """Make encoders' outputs independent of the other samples, after ``objective.train()``.

    Args:
        objective: Objective in training mode.
        chunk: Number as in ``contrastive_backward``.
        frozen: Batch normalisation in the encoders uses its running statistics.

    Raises:
        TrainingError: Batches are cut, or spread over processes, and an encoder takes statistics
            over what it sees; the message names the layer.
    """
    for kind, encoder in objective.encoders.items():
        for name, module in encoder.named_modules():
            if not isinstance(module, nn.modules.batchnorm._BatchNorm):
                continue
            if frozen:
                module.eval()
            elif chunk is not None or num_processes() > 1:
                raise TrainingError(
                    f"the encoder of {kind} has batch normalisation ('{name}'), whose statistics "
                    "would be those of a part of the batch; set contrast.frozen_statistics=true, "
                    "or train in one process with contrast.chunk=none"
                )


@dataclass(frozen=True, slots=True)
class RandomState:
    """Random state of the CPU and of the device of a batch."""

    cpu: Tensor
    device: torch.device
    of_device: Tensor | None

    @staticmethod
    def now(device: torch.device) -> "RandomState":
        """The state at this moment."""
        of_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return RandomState(torch.get_rng_state(), device, of_device)

    def restore(self) -> None:
        """Draw again what was drawn from here on."""
        torch.set_rng_state(self.cpu)
        if self.of_device is not None:
            torch.cuda.set_rng_state(self.of_device, self.device)


@dataclass(slots=True)
class _Part:
    """A few images or texts, in the order of the batch."""

    kind: str
    encode: Callable[[], Outputs]
    random: RandomState | None = None
    outputs: Outputs | None = None
    count: int = 0


def _parts(objective: ContrastiveObjective, batch: ExamBatch, chunk: int | None) -> Iterator[_Part]:
    text = captions_of(batch)
    for pixels in torch.split(batch.pixels, chunk or max(batch.num_images, 1)):
        yield _Part(IMAGES, partial(objective.encode_images, pixels))
    size = chunk or max(len(text.tokens), 1)
    for start in range(0, max(len(text.tokens), 1), size):
        yield _Part(TEXTS, partial(objective.encode_texts, _texts(text, start, start + size)))


def _texts(text: TextBatch, start: int, end: int) -> TextBatch:
    values = {f.name: getattr(text, f.name) for f in fields(text)}
    return replace(text, **{k: v[start:end] for k, v in values.items() if isinstance(v, Tensor)})


def _joined(parts: Sequence[_Part]) -> Outputs:
    """Outputs of all parts; axes other than the first grow to the longest."""
    outputs = [part.outputs for part in parts if part.outputs is not None]
    joined = {}
    for name in outputs[0]:
        values = [each[name] for each in outputs]
        longest = [max(sizes) for sizes in zip(*(v.shape[1:] for v in values), strict=True)]
        joined[name] = torch.cat([pad_to(v, [len(v), *longest]) for v in values])
    for part in parts:
        part.outputs = None
    return joined


def _leaves(outputs: Outputs) -> Outputs:
    return {k: v.requires_grad_() if v.is_floating_point() else v for k, v in outputs.items()}


def _pass_on(parts: Sequence[_Part], leaves: Mapping[str, Tensor], autocast: Context) -> None:
    """Encode again with gradients, and pass the outputs' on to the encoder."""
    start = 0
    for part in parts:
        assert part.random is not None
        part.random.restore()
        with autocast():
            outputs = part.encode()
        reached = [
            (value, _own(leaves[name].grad, start, value))
            for name, value in outputs.items()
            if value.requires_grad and leaves[name].grad is not None
        ]
        if reached:
            values, gradients = zip(*reached, strict=True)
            torch.autograd.backward(values, gradients)
        start += part.count


def _own(gradient: Tensor | None, start: int, value: Tensor) -> Tensor:
    """The part of a gradient that belongs to these rows, without the padding of other axes."""
    assert gradient is not None
    places = (slice(start, start + len(value)), *(slice(0, n) for n in value.shape[1:]))
    return gradient[places]
