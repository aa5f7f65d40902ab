"""Small text models with random weights, in folders as the hub has them."""

import json
from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "mass", "negative", "benign", "the",
         "tissue", "is", "extremely", "dense", "##s", "suspicious", "category", ":", "-", "birads",
         "density", "a", "b", "c", "d", "0", "1", "2", "3", "4", "5", "6"]  # fmt: skip


def make_bert(folder: Path, *, vocabulary: int | None = None) -> Path:
    """A BERT of two layers with its tokenizer, from a fixed seed.

    Args:
        folder: Is made.
        vocabulary: Rows of its table of words; None takes as many as there are words.
    """
    import torch  # noqa: PLC0415 - not all who import this need it
    import transformers  # noqa: PLC0415

    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=vocabulary or len(WORDS), hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def make_bio_clinical_bert(folder: Path) -> Path:
    """As on its hub: config.json, vocab.txt and a pickle of a masked language model's tensors."""
    config = _bert_config("bert", "BertForMaskedLM")
    return _written(folder, config, _bert_tensors(config), tokenizer=None)


def make_cxr_bert(folder: Path) -> Path:
    """As on its hub: a kind of model of its own, with code that nobody runs."""
    config = _bert_config("cxr-bert", "CXRBertModel") | {
        "auto_map": {
            "AutoConfig": "configuration_cxrbert.CXRBertConfig",
            "AutoModel": "modeling_cxrbert.CXRBertModel",
        },
        "projection_size": 8,
    }
    head = {"cls_projection_head.dense_to_hidden.weight": (8, config["hidden_size"])}
    tokenizer = {
        "tokenizer_class": "CXRBertTokenizer", "do_lower_case": True,
        "auto_map": {"AutoTokenizer": ["configuration_cxrbert.CXRBertTokenizer", None]},
    }  # fmt: skip
    (folder.parent).mkdir(parents=True, exist_ok=True)
    return _written(folder, config, _bert_tensors(config, head), tokenizer=tokenizer)


def make_biomedlm(folder: Path) -> Path:
    """As on its hub: a GPT-2 with its head, whose tokenizer has no padding and no separator."""
    import tokenizers  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    folder.mkdir(parents=True)
    words = tokenizers.Tokenizer(tokenizers.models.BPE())
    words.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        vocab_size=300, show_progress=False,
    )  # fmt: skip
    words.train_from_iterator(["no mass is seen", "the tissue is dense", "benign"], trainer)
    words.model.save(str(folder))
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 16, "n_head": 2,
        "n_layer": 2, "n_positions": 128, "n_ctx": 128, "vocab_size": words.get_vocab_size(),
        "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(4)
    network = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config))
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    return folder


def _bert_config(kind: str, architecture: str) -> dict:
    return {
        "architectures": [architecture], "model_type": kind, "vocab_size": len(WORDS),
        "hidden_size": 16, "num_hidden_layers": 8, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 256, "type_vocab_size": 2,
    }  # fmt: skip


def _bert_tensors(config: dict, head: dict | None = None) -> dict:
    """Under the names of the hub's files, from a masked language model and a head beside."""
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    torch.manual_seed(5)
    plain = {k: v for k, v in config.items() if k not in ("model_type", "auto_map")}
    network = transformers.BertForMaskedLM(transformers.BertConfig(**plain))
    extra = {name: torch.zeros(shape) for name, shape in (head or {}).items()}
    return {**network.state_dict(), **extra}


def _written(folder: Path, config: dict, tensors: dict, *, tokenizer: dict | None) -> Path:
    import torch  # noqa: PLC0415

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder
