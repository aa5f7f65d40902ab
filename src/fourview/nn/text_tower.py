"""Text towers: token numbers to features of tokens, of sentences and of the whole text.

``TextTower(config)(text: TextBatch) -> TextFeatures``. One interface for a small transformer of our
own (``name="small"``, which needs nothing from outside) and for any transformers model in a local
folder: encoders such as BioClinicalBERT, and decoders such as BioMedLM, which train with LoRA.
``TextTower.tokenizer`` says which tokenizer makes its input: give it to the captions feed.

Right where published code is not: the last token is the last that is no padding, means leave
padding out, and special tokens that were added to a vocabulary are trained even where the rest is
frozen. The feature is the same in training and in use.

Shapes:  S texts, T tokens, N sentences of the longest text, D features.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from fourview.contract import TextBatch
from fourview.errors import CheckpointError, RecipeError
from fourview.nn.lora import LoraConfig, adapt
from fourview.nn.text_folder import ALLOWED, text_folder
from fourview.nn.tokenizer import (
    BERT_BY_ANOTHER_NAME,
    SMALL,
    TokenizerConfig,
    load_transformers_tokenizer,
    model_type,
    small_vocabulary,
    special_numbers,
    vocabulary_digest,
)

SMALL_POSITIONS = 256
INITIAL_STD = 0.02  # of BERT


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTowerConfig:
    """Which network, and what of it is the feature.

    Attributes:
        name: ``small``, or a folder with a transformers model (config.json, weights, tokenizer);
            ``nn.text_folder`` says where it is looked for.
        weights: ``pretrained`` reads the folder's weights, ``none`` starts from random ones; the
            small one has no weights to start from.
        kind: ``encoder`` (reads both ways) or ``decoder`` (reads on); see ``nn.tokenizer``.
        pooled: Feature of a text: ``mean`` over its tokens, ``last`` token, or ``cls``, the first.
        sentence: Feature of a sentence: its ``separator`` token, or the ``mean`` of its tokens.
        layers: How many of the network's layers; None takes all (the small one has 2).
        dim: Width of the small one.
        heads: Of the small one.
        dropout: Of the small one; others have their own.
        lora: Adapters, with the rest frozen; rank 0 trains everything.
        checkpointing: Compute layers again in the backward pass instead of keeping them.
        attention: Also return how much the first token attends to each.
    """

    name: str = SMALL
    weights: Literal["none", "pretrained"] = "none"
    kind: Literal["encoder", "decoder"] = "encoder"
    pooled: Literal["mean", "last", "cls"] = "mean"
    sentence: Literal["separator", "mean"] = "mean"
    layers: int | None = None
    dim: int = 64
    heads: int = 4
    dropout: float = 0.0
    lora: LoraConfig = field(default_factory=LoraConfig)
    checkpointing: bool = False
    attention: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFeatures:
    """What a tower makes of texts.

    Attributes:
        tokens: The last layer; of padding meaningless.
        mask: True at tokens, False at padding.
        pooled: Of each text.
        sentences: Of each sentence; zero where a text has fewer.
        sentence_mask: Which sentences there are.
        attention: Of the last layer, mean over heads: how much the first token attends to each; in
            [0, 1], sums to 1. None unless the config asks for it.
    """

    tokens: Float[Tensor, "text token dim"]
    mask: Bool[Tensor, "text token"]
    pooled: Float[Tensor, "text dim"]
    sentences: Float[Tensor, "text sentence dim"]
    sentence_mask: Bool[Tensor, "text sentence"]
    attention: Float[Tensor, "text token"] | None = None


class TextTower(nn.Module):
    """See the module docstring.

    Attributes:
        dim: D.
        tokenizer: What has to make the token numbers; the longest text is the feed's choice.
        vocabulary: Digest of that tokenizer's; empty for the small one, which is ours.
        most_tokens: Longest text that it reads; None where the network sets no bound.
        given: Names of the weights that the folder gave.
    """

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.network: _SmallText | _TransformersText
        if config.name == SMALL:
            if config.kind != "encoder" or config.weights != "none" or config.lora.rank:
                raise RecipeError(
                    "text tower 'small' is an encoder with random weights: set kind=encoder, "
                    "weights=none, lora.rank=0"
                )
            self.network = _SmallText(config)
        else:
            self.network = _TransformersText(config)
        self.dim = self.network.dim
        self.vocabulary, self.most_tokens = self.network.vocabulary, self.network.most_tokens
        self.given = frozenset(f"network.{name}" for name in self.network.given)
        self.tokenizer = TokenizerConfig(name=config.name, kind=config.kind)

    def forward(self, text: TextBatch) -> TextFeatures:
        """Features of every token, sentence and text."""
        tokens, attention = self.network(text.tokens, text.mask)
        sentences, present = sentence_features(
            tokens, text.mask, text.sentence, self.config.sentence
        )
        return TextFeatures(
            tokens=tokens,
            mask=text.mask,
            pooled=pool_tokens(tokens, text.mask, self.config.pooled),
            sentences=sentences,
            sentence_mask=present,
            attention=attention,
        )


def pool_tokens(
    tokens: Float[Tensor, "text token dim"], mask: Bool[Tensor, "text token"], how: str
) -> Float[Tensor, "text dim"]:
    """One feature per text: the masked ``mean``, the ``last`` token that is no padding, ``cls``.

    Every text has at least one token.
    """
    if how == "cls":
        return tokens[:, 0]
    if how == "last":
        place = torch.arange(mask.shape[1], device=mask.device)
        last = torch.where(mask, place, -1).amax(dim=1)
        return tokens[torch.arange(len(tokens), device=tokens.device), last]
    weight = mask.to(tokens.dtype)
    mean: Tensor = torch.einsum("std,st->sd", tokens, weight)
    return mean / weight.sum(dim=1, keepdim=True).clamp(min=1)


def sentence_features(
    tokens: Float[Tensor, "text token dim"],
    mask: Bool[Tensor, "text token"],
    sentence: Int[Tensor, "text token"],
    how: str,
) -> tuple[Float[Tensor, "text sentence dim"], Bool[Tensor, "text sentence"]]:
    """One feature per sentence, and which there are.

    Args:
        tokens: Of all texts.
        mask: False at padding.
        sentence: Number of the sentence that a token belongs to; -1 at special tokens, padding.
        how: ``separator``, the token after the sentence (its last one where the text was cut), or
            the ``mean`` of its tokens without separators.
    """
    count = max(int(sentence.max()) + 1, 1)
    numbers = torch.arange(count, device=sentence.device)
    member = sentence[:, None, :] == numbers[None, :, None]
    present = member.any(dim=2)
    if how == "mean":
        weight = member.to(tokens.dtype)
        total = torch.einsum("snt,std->snd", weight, tokens)
        return total / weight.sum(dim=2)[..., None].clamp(min=1), present
    place = torch.arange(tokens.shape[1], device=sentence.device)
    last = torch.where(member, place, -1).amax(dim=2)
    end = mask.sum(dim=1, keepdim=True) - 1
    after = torch.minimum(last + 1, end).clamp(min=0)
    chosen = tokens.gather(1, after[..., None].expand(-1, -1, tokens.shape[2]))
    return chosen * present[..., None].to(tokens.dtype), present


class _SmallText(nn.Module):
    """A small BERT with random weights, over the vocabulary of ``nn.tokenizer``."""

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        self.dim = config.dim
        self.vocabulary: str = ""
        self.given: tuple[str, ...] = ()
        self.most_tokens: int | None = SMALL_POSITIONS
        self.checkpointing, self.attention = config.checkpointing, config.attention
        self.embedding = nn.Embedding(len(small_vocabulary()), config.dim)
        self.position = nn.Parameter(torch.empty(SMALL_POSITIONS, config.dim))
        self.norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        layers = 2 if config.layers is None else config.layers
        self.blocks = nn.ModuleList(
            _Block(config.dim, config.heads, config.dropout) for _ in range(layers)
        )
        nn.init.normal_(self.embedding.weight, std=INITIAL_STD)
        nn.init.normal_(self.position, std=INITIAL_STD)

    def forward(
        self, tokens: Int[Tensor, "text token"], mask: Bool[Tensor, "text token"]
    ) -> tuple[Float[Tensor, "text token dim"], Float[Tensor, "text token"] | None]:
        if tokens.shape[1] > SMALL_POSITIONS:
            raise RecipeError(
                f"a text has {tokens.shape[1]} tokens, text tower 'small' reads {SMALL_POSITIONS}; "
                "lower feed.tokenizer.max_tokens"
            )
        values = self.embedding(tokens) + self.position[: tokens.shape[1]]
        values = self.dropout(self.norm(values))
        attention = None
        for number, block in enumerate(self.blocks):
            if self.attention and number == len(self.blocks) - 1:  # the block does not give it
                attention = cast("_Block", block).attention_of_first(values, mask)
            if self.checkpointing and self.training:
                values = checkpoint(block, values, mask, use_reentrant=False)
            else:
                values = block(values, mask)
        return values, attention


class _Block(nn.Module):
    """Self-attention and two linear layers, each normalised after its residual, as in BERT."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} is no multiple of heads {heads}")
        self.heads, self.rate = heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.mlp_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, values: Float[Tensor, "text token dim"], mask: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        query, key, value = self._split(values)
        rate = self.rate if self.training else 0.0
        mixed = scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None, :], dropout_p=rate
        )
        values = self.norm(values + self.dropout(self.out(mixed.transpose(1, 2).flatten(2))))
        result: Tensor = self.mlp_norm(values + self.dropout(self.mlp(values)))
        return result

    def attention_of_first(self, values: Tensor, mask: Tensor) -> Float[Tensor, "text token"]:
        """Mean over heads of what the first token attends to."""
        query, key, _ = self._split(values)
        logits = (query[:, :, :1] * key).sum(dim=3) / math.sqrt(query.shape[3])
        return logits.masked_fill(~mask[:, None], -torch.inf).softmax(dim=2).mean(dim=1)

    def _split(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        texts, tokens, _ = values.shape
        parts = self.qkv(values).reshape(texts, tokens, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        return query, key, value


class _TransformersText(nn.Module):
    """A transformers model from a folder, with trained rows for special tokens it did not have."""

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        tokenizer = load_transformers_tokenizer(config.name)
        numbers = special_numbers(tokenizer, config.kind)
        self.attention = config.attention
        self.vocabulary: str = vocabulary_digest(tokenizer)
        self.model, self.dim, self.most_tokens, given = _load(config)
        embedding = cast("nn.Embedding", self.model.get_input_embeddings())
        self.first_added = len(tokenizer)
        if self.first_added > embedding.num_embeddings:
            raise CheckpointError(
                f"{config.name}: its tokenizer has {self.first_added:,} tokens, its network "
                f"{embedding.num_embeddings:,}; they belong to two models: fetch both from one"
            )
        num_added = sum(number >= self.first_added for number in numbers)
        adapt(self.model, config.lora)  # which gives names another middle
        self.given = tuple(f"model.{n}" for n, p in self.model.named_parameters() if id(p) in given)
        self.added: nn.Parameter | None = None
        if num_added:
            self.added = nn.Parameter(embedding.weight.new_empty(num_added, self.dim))
            spread = embedding.weight.detach().std()
            nn.init.normal_(self.added, std=1.0 if spread.is_meta else float(spread))

    def forward(
        self, tokens: Int[Tensor, "text token"], mask: Bool[Tensor, "text token"]
    ) -> tuple[Float[Tensor, "text token dim"], Float[Tensor, "text token"] | None]:
        embed = self.model.get_input_embeddings()
        if self.added is None:
            values = embed(tokens)
        else:
            own = tokens < self.first_added
            values = embed(tokens.clamp(max=self.first_added - 1))
            place = (tokens - self.first_added).clamp(min=0)
            values = torch.where(own[..., None], values, self.added[place])
        output = self.model(
            inputs_embeds=values,
            attention_mask=mask.long(),
            output_attentions=self.attention,
            use_cache=False,
        )
        attention = output.attentions[-1][:, :, 0].mean(dim=1) if self.attention else None
        return output.last_hidden_state, attention


@contextmanager
def _without_load_report() -> Iterator[None]:
    from transformers.utils import logging  # noqa: PLC0415 - an optional extra, slow

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _load(config: TextTowerConfig) -> tuple[Any, int, int | None, set[int]]:
    """The network of a folder without its head, its width, and the longest text that it reads.

    The last are the ``id`` of parameters whose values are the folder's.
    """
    from transformers import (  # noqa: PLC0415 - an optional extra, slow
        AutoConfig,
        AutoModel,
        BertConfig,
    )

    folder = text_folder(config.name)
    if not folder.is_dir():
        raise CheckpointError(
            f"{config.name}: no folder; a text tower is loaded from a local one: name it, or set "
            f"{ALLOWED} to the folder that holds it"
        )
    reads: Any = BertConfig if model_type(folder) in BERT_BY_ANOTHER_NAME else AutoConfig
    how = {"attn_implementation": "eager"} if config.attention else {}
    try:
        plan = reads.from_pretrained(folder, local_files_only=True)
        if config.layers is not None:
            plan.num_hidden_layers = config.layers
        plan.auto_map = {}  # no code of a folder is run
        if config.weights == "pretrained":
            with _without_load_report():  # its table of heads that nothing here reads
                model, report = AutoModel.from_pretrained(
                    folder, config=plan, local_files_only=True, dtype=torch.float32,
                    output_loading_info=True, **how,
                )  # fmt: skip
            random = set(report["missing_keys"])
        else:
            make: Any = AutoModel.from_config  # has no types
            model, random = make(plan, dtype=torch.float32, **how), None
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{folder}: no text model can be read there ({reason})") from error
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # a head of another objective, which nothing here reads
    if config.checkpointing:
        newer = getattr(model, "activation_checkpointing_enable", None)  # the older name warns
        (newer or model.gradient_checkpointing_enable)({"use_reentrant": False})
    most = getattr(plan, "max_position_embeddings", None)
    given = {id(p) for n, p in model.named_parameters() if random is not None and n not in random}
    return model, int(plan.hidden_size), None if most is None else int(most), given
