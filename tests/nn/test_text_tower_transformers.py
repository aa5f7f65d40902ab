"""Text towers of transformers: encoders, and decoders that train with adapters."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from fourview.nn.lora import LoraConfig
from fourview.nn.text_tower import TextTower, TextTowerConfig
from fourview.nn.tokenizer import Tokenizer, TokenizerConfig

transformers = pytest.importorskip("transformers", reason="the language extra is not installed")
tokenizers = pytest.importorskip("tokenizers", reason="the language extra is not installed")

TEXTS = [("no mass", "negative", "the tissue is extremely dense"), ("benign",)]
WORDS = ["?", "no", "mass", "negative", "benign", "the", "tissue", "is", "dense"]
# float32 products over batches of other shapes
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def batch_of(texts, config=None):
    return Tokenizer(config or TokenizerConfig()).batch(texts, list(range(len(texts))))


def built(config):
    torch.manual_seed(0)
    return TextTower(config).eval()


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A BERT of two tiny layers with its tokenizer, in a folder as published ones are."""
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "mass", "negative", "benign"]
    words += ["the", "tissue", "is", "extremely", "dense", "##s"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory):
    """A decoder of two tiny layers whose tokenizer knows no padding and no separator."""
    folder = tmp_path_factory.mktemp("gpt")
    words = {word: number for number, word in enumerate(WORDS)}
    fast = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=fast).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_embd=16, n_layer=2, n_head=2, n_positions=64,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    transformers.GPT2Model(config).save_pretrained(folder)
    return str(folder)


def test_a_bert_is_read_as_transformers_reads_it(bert):
    tower = built(TextTowerConfig(name=bert, weights="pretrained", attention=True))
    text = batch_of(TEXTS, tower.tokenizer)
    assert text.tokens[1].tolist()[:3] == [2, 8, 3]
    model = transformers.BertModel.from_pretrained(bert, attn_implementation="eager").eval()
    with torch.no_grad():
        want = model(text.tokens, text.mask.long(), output_attentions=True)
        got = tower(text)
    for row, length in enumerate(text.mask.sum(dim=1).tolist()):
        torch.testing.assert_close(
            got.tokens[row, :length], want.last_hidden_state[row, :length], **CLOSE
        )
    torch.testing.assert_close(got.attention, want.attentions[-1][:, :, 0].mean(dim=1), **CLOSE)


def test_half_of_a_network_can_be_taken(bert):
    whole, half = (
        built(TextTowerConfig(name=bert, weights="pretrained", layers=n)) for n in (2, 1)
    )
    names = set(half.state_dict())
    assert names < set(whole.state_dict())
    assert all(torch.equal(half.state_dict()[n], whole.state_dict()[n]) for n in names)


def test_a_decoder_gets_its_missing_special_tokens_and_trains_them_with_its_adapters(gpt):
    pytest.importorskip("peft", reason="the language extra is not installed")
    tower = built(
        TextTowerConfig(
            name=gpt,
            weights="pretrained",
            kind="decoder",
            pooled="last",
            sentence="separator",
            lora=LoraConfig(rank=2, dropout=0.0),
        )
    )
    text = batch_of([("no mass", "benign"), ("dense",)], tower.tokenizer)
    assert text.tokens[0].tolist() == [9, 1, 2, 10, 4, 10, 11]  # begin, ..., separators, end
    assert text.mask.sum(dim=1).tolist() == [7, 4]
    features = tower(text)
    torch.testing.assert_close(features.pooled[1], features.tokens[1, 3])  # not at the padding
    torch.testing.assert_close(features.sentences[0, 1], features.tokens[0, 5])
    (features.pooled.square().sum() + features.sentences.square().sum()).backward()
    trained = {n for n, w in tower.named_parameters() if w.requires_grad}
    assert all(n == "network.added" or "lora_" in n for n in trained)
    assert {"network.added"} < trained
    assert tower.network.added.grad.abs().sum(dim=1).gt(0).all()
    assert all(w.grad is not None for n, w in tower.named_parameters() if n in trained)


def test_adapters_and_added_tokens_come_back_from_a_safetensors_file(gpt, tmp_path):
    pytest.importorskip("peft", reason="the language extra is not installed")
    config = TextTowerConfig(
        name=gpt, weights="pretrained", kind="decoder", lora=LoraConfig(rank=2, dropout=0.0)
    )
    tower = built(config)
    for name, weight in tower.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    save_file(tower.state_dict(), tmp_path / "tower.safetensors")
    again = TextTower(replace(config, weights="none")).eval()
    again.load_state_dict(load_file(tmp_path / "tower.safetensors"), strict=True)
    text = batch_of(TEXTS, tower.tokenizer)
    torch.testing.assert_close(again(text).pooled, tower(text).pooled, rtol=0, atol=0)


def test_a_causal_text_feature_does_not_see_what_comes_later(gpt):
    tower = built(TextTowerConfig(name=gpt, kind="decoder", sentence="separator"))
    one, other = (
        tower(batch_of([("no mass", last)], tower.tokenizer)) for last in ("benign", "dense")
    )
    torch.testing.assert_close(one.sentences[:, 0], other.sentences[:, 0], **CLOSE)
    assert not torch.allclose(one.sentences[:, 1], other.sentences[:, 1])
