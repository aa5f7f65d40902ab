"""Small text models with random weights, in folders as the hub has them."""

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
