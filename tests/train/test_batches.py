"""Training batches: what an epoch reads, shared out, and from any step on."""

from fourview.feeds.feed import Feed
from fourview.train.batches import TrainingBatches, steps_per_epoch


def test_what_fills_no_batch_waits():
    assert [steps_per_epoch(n, 4) for n in (3, 4, 7, 8)] == [0, 1, 1, 2]


class Numbers(Feed):
    """Ten numbers, in an order of each epoch."""

    def __init__(self):
        """No samples."""

    def __len__(self):
        return 10

    def order(self, *, seed, epoch):
        return [(n * 7 + epoch + seed) % 10 for n in range(10)]

    def read(self, index, draw=None):  # noqa: ARG002
        return index

    def collate(self, items):
        return list(items)


def read(epoch=0, share=(0, 1), **part):
    batches = TrainingBatches(Numbers(), 4, seed=3, share=share)
    return list(batches.of_epoch(epoch, **part))


def test_an_epoch_is_its_order_in_batches():
    order = Numbers().order(seed=3, epoch=1)
    assert read(epoch=1) == [order[:4], order[4:8]]


def test_from_a_step_on_it_is_the_rest():
    whole = read()
    assert read(start=1) == whole[1:] and read(stop=1) == whole[:1] and read(start=2) == []


def test_processes_share_each_batch():
    whole = read()
    shares = [read(share=(rank, 2)) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        assert sorted(shares[0][step] + shares[1][step]) == sorted(batch)
        assert shares[0][step] == batch[::2]
