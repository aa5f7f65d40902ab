"""The four heads against a slow loop written from the formulas, in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fourview.contract import ExamBatch, PatchBatch
from fourview.errors import RecipeError
from fourview.models.clsdet.heads import dual_branch, max_region, select_regions
from fourview.models.clsdet.model import Clsdet, ClsdetConfig
from fourview.models.clsdet.objective import ClsdetObjective, ClsdetObjectiveConfig
from fourview.models.clsdet.rows import Rows

HEADS = ("cls_det_rs", "dual_branch", "max_region", "db_baseline")
CONFIG = ClsdetConfig(code_dim=5, width=7, dropout=0.0, num_selected=3)
COUNTS = (6, 1, 3, 2)  # regions of each image: above, below and at k = 3
LABELS = ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0))
EXACT = 1e-10  # both sides are float64 and sum a handful of terms


def region_batch(counts=COUNTS, dim=5, seed=0, dtype=torch.float64) -> ExamBatch:
    make = torch.Generator().manual_seed(seed)
    image = torch.tensor([i for i, n in enumerate(counts) for _ in range(n)], dtype=torch.long)
    image = image[torch.randperm(len(image), generator=make)]  # ragged in any order
    labels = torch.tensor(LABELS[: len(counts)], dtype=dtype)
    return ExamBatch(
        pixels=torch.zeros(len(counts), 1, 0, 0),
        exam=torch.arange(len(counts)) // 2,
        slot=torch.arange(len(counts)) % 2 * 2,  # R-CC and R-MLO
        rank=torch.zeros(len(counts), dtype=torch.long),
        num_exams=-(-len(counts) // 2),
        image_targets={"cancer": labels[:, 0], "benign": labels[:, 1]},
        patches=PatchBatch(
            image=image,
            box=torch.zeros(len(image), 4),
            codes=torch.randn(len(image), dim, generator=make, dtype=dtype),
        ),
    )


def model_of(head: str, **changes) -> Clsdet:
    torch.manual_seed(1)
    return Clsdet(replace(CONFIG, head=head, **changes)).double().eval()


def slow(model: Clsdet, batch: ExamBatch) -> tuple[np.ndarray, dict[int, list[np.ndarray]], float]:
    """Image scores, region scores by image, and the loss: loops over the printed formulas."""
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    config = model.config
    codes, image = batch.patches.codes.numpy(), batch.patches.image.numpy()
    scores, regions, loss = [], {}, 0.0
    for t in range(batch.num_images):
        x = []
        for code in codes[image == t]:
            hidden = weights["fc3.0.weight"] @ code + weights["fc3.0.bias"]
            x.append(np.array([max(value, 0.0) for value in hidden]))
        regions[t] = [np.zeros(2) for _ in x]
        of_image = []
        for c in range(2):
            if config.head == "max_region":
                r = [1 / (1 + math.exp(-(weights["classify.weight"][c] @ xi))) for xi in x]
                p = max(r)
                for i, value in enumerate(r):
                    regions[t][i][c] = value
            else:
                p_cls = []
                for xi in x:
                    e = [math.exp(w @ xi) for w in weights["classify.weight"]]
                    p_cls.append(e[c] / sum(e))
                h = [1] * len(x)
                if config.head == "cls_det_rs":
                    by_score = sorted(range(len(x)), key=lambda i: (-p_cls[i], i))
                    h = [int(i in by_score[: config.num_selected]) for i in range(len(x))]
                u = [
                    math.exp(weights["detect.weight"][c] @ xi / config.det_temperature) for xi in x
                ]
                total = sum(hj * uj for hj, uj in zip(h, u, strict=True))
                p = sum(hi * ui / total * pi for hi, ui, pi in zip(h, u, p_cls, strict=True))
                for i, (ui, pi) in enumerate(zip(u, p_cls, strict=True)):
                    regions[t][i][c] = pi * ui / sum(u)  # h = 1 for every region
            of_image.append(p)
            y = LABELS[t][c]
            loss -= (math.log(p) if y == 1 else math.log(1 - p)) / batch.num_images
        scores.append(of_image)
    return np.array(scores), regions, loss


@pytest.mark.parametrize("head", HEADS)
def test_a_head_agrees_with_a_loop_over_regions(head):
    batch, model = region_batch(), model_of(head)
    scores, regions, loss = slow(model, batch)
    terms = ClsdetObjective(model, ClsdetObjectiveConfig())(batch)
    np.testing.assert_allclose(terms.output.image_scores.detach(), scores, rtol=EXACT)
    assert terms.total.item() == pytest.approx(loss, rel=EXACT)
    for t, wanted in regions.items():
        got = terms.output.patch_scores.detach()[batch.patches.image == t]
        np.testing.assert_allclose(got, np.array(wanted), rtol=EXACT)


def test_detection_logits_are_divided_by_the_temperature():
    batch, model = region_batch(), model_of("db_baseline", det_temperature=2.0)
    np.testing.assert_allclose(
        model(batch).image_scores.detach(), slow(model, batch)[0], rtol=EXACT
    )
    other = model_of("db_baseline")(batch).image_scores
    assert not torch.allclose(other, model(batch).image_scores)


def test_the_heads_are_four_different_ones():
    batch = region_batch()
    scores = [model_of(head)(batch).image_scores[0] for head in HEADS]
    assert all(not torch.allclose(a, b) for i, a in enumerate(scores) for b in scores[:i])


def test_selection_takes_the_k_highest_of_each_class_and_the_first_of_equals():
    scores = torch.tensor([[[0.5, 0.1], [0.9, 0.1], [0.5, 0.1], [0.7, 0.2]]]).log()
    present = torch.ones(1, 4, dtype=torch.bool)
    chosen = select_regions(scores, present, 3)[0]
    assert chosen[:, 0].tolist() == [True, True, False, True]  # of the two 0.5 the first
    assert chosen[:, 1].tolist() == [True, True, False, True]
    present[0, 3] = False
    assert select_regions(scores, present, 3)[0, :, 0].tolist() == [True, True, True, False]


def test_unselected_regions_get_no_detection_gradient():
    make = torch.Generator().manual_seed(0)
    cls = torch.randn(2, 8, 3, generator=make, requires_grad=True)
    det = torch.randn(2, 8, 2, generator=make, requires_grad=True)
    present = torch.ones(2, 8, dtype=torch.bool)
    logs = dual_branch(cls, det, present, num_selected=3)
    (logs.yes.sum() + 2 * logs.no.sum()).backward()
    chosen = select_regions(cls.detach().log_softmax(2)[:, :, :2], present, 3)
    assert not det.grad[~chosen].any() and (det.grad[chosen] != 0).all()
    used = chosen.any(dim=2)  # a region that no class selected does not train the classifier
    assert not cls.grad[~used].any() and (cls.grad[used] != 0).any(dim=-1).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_gradients_survive_confident_mistakes(head, sign):
    """log(1 - p) of a p that rounds to 1 would be -inf, and a clamp would stop the gradient."""
    batch = region_batch(dtype=torch.float32)
    model = model_of(head).float()
    with torch.no_grad():
        model.classify.weight.mul_(sign * 400)
    terms = ClsdetObjective(model, ClsdetObjectiveConfig())(batch)
    terms.total.backward()
    assert terms.total.isfinite() and terms.total > 10
    gradients = [w.grad for w in model.parameters()]
    assert all(g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)


def test_an_image_without_regions_has_no_score_and_no_loss():
    batch = region_batch()
    kept = batch.patches.image != 1
    patches = replace(
        batch.patches,
        image=batch.patches.image[kept],
        box=batch.patches.box[kept],
        codes=batch.patches.codes[kept],
    )
    for head in HEADS:
        model = model_of(head)
        whole, less = model(batch), model(replace(batch, patches=patches))
        assert less.image_scores[1].isnan().all()
        rest = [0, 2, 3]
        torch.testing.assert_close(less.image_scores[rest], whole.image_scores[rest])
        terms = ClsdetObjective(model, ClsdetObjectiveConfig())(replace(batch, patches=patches))
        terms.total.backward()
        assert terms.total.isfinite()
        assert all(w.grad.isfinite().all() for w in model.parameters())


def test_a_breast_has_the_highest_score_of_its_views():
    output = model_of("cls_det_rs")(region_batch())
    pairs = output.image_scores.detach().reshape(2, 2, 2)  # exam, view, class
    torch.testing.assert_close(output.breast_scores.detach()[:, 0], pairs.amax(dim=1))
    assert output.breast_scores.detach()[:, 1].isnan().all()  # no image of the left breast


def test_benign_is_not_trained_beside_malignant_where_so_asked():
    batch, model = region_batch(), model_of("cls_det_rs")
    objective = ClsdetObjective(model, ClsdetObjectiveConfig(mask_b_when_m=True))
    target = batch.image_targets["benign"].clone()
    target[[0, 3]] = torch.nan
    plain = ClsdetObjective(model, ClsdetObjectiveConfig())
    known = replace(batch, image_targets={**batch.image_targets, "benign": target})
    assert objective(batch).total.item() == pytest.approx(plain(known).total.item(), rel=EXACT)


def test_rows_keep_the_order_of_the_batch_and_come_back():
    image = torch.tensor([1, 0, 1, 3, 1, 0])
    rows = Rows.of(image, 4)
    assert rows.place.tolist() == [0, 0, 1, 0, 2, 1]
    assert rows.present.sum(dim=1).tolist() == [2, 3, 0, 1]
    values = torch.arange(12.0).reshape(6, 2)
    assert torch.equal(rows.gather(rows.lay(values)), values)


def test_the_maximum_trains_the_highest_region_alone():
    logits = torch.tensor([[[0.1], [2.0], [-1.0]]], requires_grad=True)
    max_region(logits, torch.ones(1, 3, dtype=torch.bool)).no.sum().backward()
    assert logits.grad.flatten().tolist()[0::2] == [0, 0] and logits.grad[0, 1, 0] < 0


@pytest.mark.parametrize("head", ["cls_det_rs", "dual_branch", "max_region"])
def test_cancer_alone_has_one_class_beside_normal(head):
    torch.manual_seed(0)
    model = Clsdet(replace(CONFIG, task="cancer", head=head)).double()
    batch = region_batch()
    terms = ClsdetObjective(model, ClsdetObjectiveConfig(mask_b_when_m=True))(batch)
    assert terms.output.image_scores.shape == (len(COUNTS), 1)
    p = terms.output.image_scores[:, 0].tolist()
    logs = [math.log(p if y else 1 - p) for p, (y, _) in zip(p, LABELS, strict=True)]
    assert terms.total.item() == pytest.approx(-sum(logs) / len(logs), rel=EXACT)


def test_one_class_without_a_normal_one_is_refused():
    with pytest.raises(ValueError, match="no normal class"):
        replace(CONFIG, task="cancer", head="db_baseline")


def test_codes_are_standardised_by_what_training_saw():
    batch = region_batch(counts=(40, 25), seed=3)
    codes = 5 + 3 * batch.patches.codes
    model = model_of("cls_det_rs", standardise=True)
    model.train()
    for _ in range(200):  # running statistics come within 0.9^200 of the batch's
        model(replace(batch, patches=replace(batch.patches, codes=codes)))
    model.eval()
    known = (codes - codes.mean(dim=0)) / (codes.var(dim=0) + 1e-5).sqrt()
    plain = model_of("cls_det_rs")
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "standard" not in k})
    want = plain(replace(batch, patches=replace(batch.patches, codes=known))).image_scores
    got = model(replace(batch, patches=replace(batch.patches, codes=codes))).image_scores
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("head", ["cls_det_rs", "dual_branch"])
def test_known_regions_are_weighed_beside_the_labels_of_images(head):
    batch, model = region_batch(), model_of(head)
    num = len(batch.patches.image)
    hits = {"cancer": torch.arange(num) % 3 == 0, "benign": torch.arange(num) % 4 == 1}
    told = replace(batch.patches, targets={name: own.double() for name, own in hits.items()})
    told = replace(batch, patches=told)
    plain = ClsdetObjective(model, ClsdetObjectiveConfig())(told)
    both = ClsdetObjective(model, ClsdetObjectiveConfig(boxes=0.5))(told)
    want = plain.total + 0.5 * both.parts["boxes"]
    assert both.total.item() == pytest.approx(want.item(), rel=EXACT) and both.parts["boxes"] > 0
    by_product = (both.output.log_classes[:, :2] + both.output.log_detection).exp()  # d_c
    torch.testing.assert_close(by_product, both.output.patch_scores)


def test_known_regions_are_asked_for_by_a_clear_line():
    objective = ClsdetObjective(model_of("dual_branch"), ClsdetObjectiveConfig(boxes=1.0))
    with pytest.raises(RecipeError, match=r"feed\.boxes=true"):
        objective(region_batch())
    batch = region_batch()
    nothing = {name: torch.zeros(len(batch.patches.image)) for name in ("cancer", "benign")}
    batch = replace(batch, patches=replace(batch.patches, targets=nothing))
    objective = ClsdetObjective(model_of("db_baseline"), ClsdetObjectiveConfig(boxes=1.0))
    with pytest.raises(RecipeError, match="needs a head of cls_det_rs, dual_branch"):
        objective(batch)
