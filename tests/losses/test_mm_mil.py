"""MM-MIL's scores against loops over texts, images, sentences and regions."""

import math

import torch

from fourview.losses.mama import local_similarities
from fourview.losses.mm_mil import bag_loss, bag_similarities

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 sums in another order
COUNTS = (2, 1, 3)
PATIENT = torch.tensor([0, 1, 0])


def parts(*, seed: int = 0):
    make = torch.Generator().manual_seed(seed)
    regions = torch.randn(3, 4, 5, generator=make, dtype=torch.float64).requires_grad_()
    sentences = torch.randn(3, 3, 5, generator=make, dtype=torch.float64).requires_grad_()
    return regions, sentences, torch.arange(3)[None] < torch.tensor(COUNTS)[:, None]


def unit(vector):
    return vector / (vector * vector).sum().sqrt()


def loop_scores(regions, sentences, gamma, tau):
    local, whole = {}, {}
    for t, count in enumerate(COUNTS):
        for i in range(3):
            x = [unit(r) for r in regions[i]]
            local[t, i], whole[t, i] = 0.0, 0.0
            for s in range(count):
                y = unit(sentences[t, s])
                alike = [(r * y).sum() for r in x]
                mean = sum((gamma * a).exp() for a in alike) / len(x)
                local[t, i] = local[t, i] + mean.log() / gamma / count
                critical = x[max(range(len(x)), key=lambda n: alike[n].item())]
                powers = [((r * critical).sum() / tau).exp() for r in x]
                joined = sum(p * r for p, r in zip(powers, x, strict=True)) / sum(powers)
                whole[t, i] = whole[t, i] + (unit(joined) * y).sum() / count
    return local, whole


def loop_two_ways(scores, scale):
    total = 0.0
    for turned in (False, True):
        for i in range(3):
            pool = [j for j in range(3) if j == i or PATIENT[j] != PATIENT[i]]
            terms = {j: (scale * scores[(j, i) if turned else (i, j)]).exp() for j in pool}
            total = total - (terms[i] / sum(terms.values())).log() / 6
    return total


def test_the_losses_and_their_gradients_are_those_of_a_loop():
    regions, sentences, present = parts()
    scale = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    ours = bag_loss(
        regions, sentences, present, scale, PATIENT, sharpness=7.0, region_temperature=0.3
    )
    loops = [loop_two_ways(s, scale) for s in loop_scores(regions, sentences, 7.0, 0.3)]
    inputs = (regions, sentences, scale)
    for one, other in zip(ours, loops, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
        got = torch.autograd.grad(one, inputs, retain_graph=True)
        want = torch.autograd.grad(other, inputs, retain_graph=True)
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b, **CLOSE)


def test_without_bound_the_local_score_is_mamas_visual_localisation():
    regions, sentences, present = parts()
    local, _ = bag_similarities(regions, sentences, present, sharpness=1e7)
    visual, _ = local_similarities(regions, sentences, present)
    # log N / gamma is what the mean in place of the maximum takes off
    torch.testing.assert_close(local + math.log(4) / 1e7, visual, rtol=0, atol=1e-6)
