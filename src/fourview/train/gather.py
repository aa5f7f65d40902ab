"""Join what several processes encoded into one contrastive batch, with gradients."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from fourview.contract import Encoded

BUCKET_BYTES = 25 << 20  # as torch's DistributedDataParallel


def num_processes() -> int:
    """How many processes train together."""
    ready = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if ready else 1


def gather(encoded: Encoded) -> Encoded:
    """The batch of all processes, in their order; each then computes the same loss.

    Gradients: as every process takes the whole loss of the whole batch, each has the gradient of
    its own rows already, and nothing is sent on the way back. Parameters of the heads get the whole
    gradient in every process, encoders the part of their own rows; so own rows count as often as
    there are processes, and ``average_gradients`` makes both right.
    """
    if num_processes() == 1:
        return encoded
    counts = [len(encoded.exam), len(encoded.patient)]
    images, exams = _of_processes(torch.tensor(counts, device=encoded.exam.device)).T.tolist()
    rank = distributed.get_rank()
    return Encoded(
        images=_all(encoded.images),
        texts=_all(encoded.texts),
        exam=gather_rows(encoded.exam + sum(exams[:rank])),
        slot=gather_rows(encoded.slot),
        text_image=gather_rows(encoded.text_image + sum(images[:rank])),
        patient=gather_rows(encoded.patient),
    )


def average_gradients(module: nn.Module) -> None:
    """The mean over processes of every gradient; None where no process has one.

    Gradients travel in buckets of BUCKET_BYTES, all of them under way at once.
    """
    if num_processes() == 1:
        return
    weights = [p for p in module.parameters() if p.requires_grad]
    if not weights:
        return
    has = [p.grad is not None for p in weights]
    anywhere = torch.tensor(has, device=weights[0].device, dtype=torch.int32)
    distributed.all_reduce(anywhere)
    gradients: list[Tensor] = []
    for weight, count in zip(weights, anywhere.tolist(), strict=True):
        if count:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
    average(gradients)


def average_statistics(module: nn.Module) -> None:
    """The mean over processes of what batch normalisation keeps of the batches it has seen."""
    if num_processes() == 1:
        return
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [m for m in norms if m.training and m.track_running_stats]
    average([t for m in kept for t in (m.running_mean, m.running_var) if t is not None])


def average(tensors: Sequence[Tensor]) -> None:
    """Put the mean over processes into each of the tensors, which are the same in every process."""
    sent = []
    for bucket in buckets(tensors):
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
        sent.append((bucket, flat, distributed.all_reduce(flat, async_op=True)))
    for bucket, flat, work in sent:
        work.wait()
        flat.div_(num_processes())
        start = 0
        for tensor in bucket:
            part = flat[start : start + tensor.numel()]
            tensor.detach().copy_(part.view(tensor.shape))
            start += tensor.numel()


def buckets(tensors: Sequence[Tensor], limit: int = BUCKET_BYTES) -> Iterator[list[Tensor]]:
    """The tensors in groups of one type and at most ``limit`` bytes, or of one larger tensor."""
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        group = kinds.setdefault(tensor.dtype, [])
        if group and sum(t.nbytes for t in group) + tensor.nbytes > limit:
            yield kinds[tensor.dtype]
            kinds[tensor.dtype] = group = []
        group.append(tensor)
    yield from (group for group in kinds.values() if group)


def gather_rows(local: Tensor) -> Tensor:
    """The rows of all processes; other axes grow to the longest, with zeros."""
    shapes = _of_processes(torch.tensor(local.shape, device=local.device))
    longest = shapes.amax(dim=0).tolist()
    padded = pad_to(local, [len(local), *longest[1:]])
    rows: Tensor = _Gather.apply(padded, shapes[:, 0].tolist())
    return rows


def pad_to(values: Tensor, shape: list[int]) -> Tensor:
    """Zeros after the end of each axis."""
    missing = [want - have for want, have in zip(shape, values.shape, strict=True)]
    if not any(missing):
        return values
    amounts = [amount for axis in reversed(missing) for amount in (0, axis)]
    return nn.functional.pad(values, amounts)


def _all(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: gather_rows(values[name]) for name in sorted(values)}


def _of_processes(numbers: Tensor) -> Tensor:
    """The same few numbers of every process, one row per process."""
    rows = [torch.empty_like(numbers) for _ in range(num_processes())]
    distributed.all_gather(rows, numbers)
    return torch.stack(rows)


class _Gather(torch.autograd.Function):
    """Rows of all processes; each may have a different number of them."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        sent = local.to(torch.uint8) if local.dtype == torch.bool else local
        sent = pad_to(sent, [max(counts), *local.shape[1:]]).contiguous()
        padded = [torch.empty_like(sent) for _ in counts]
        distributed.all_gather(padded, sent)
        rows = torch.cat([part[:count] for part, count in zip(padded, counts, strict=True)])
        return rows.to(local.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rank = distributed.get_rank()
        start = sum(ctx.counts[:rank])
        return gradient[start : start + ctx.counts[rank]] * len(ctx.counts), None
