"""What a trained network of BRAIxMVCCL uses: queries, attention, local, global, the other view.

Shapes:  I images, D features of a cell, T cells.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourview.contract import Dissection, ExamBatch, Switch
from fourview.models.mvccl.model import Mvccl, MvcclOutput, Parts, other_views
from fourview.models.mvccl.modules import JointSelfAttention, LocalCoOccurrence

STRANGERS = "queries of strangers"
UNIFORM = "uniform attention"
OTHER_VIEW = "other view of another patient"
CONSTANT = {"z": "z constant", "g": "g constant", "pooled": "pooled constant"}
NO_ATTENTION = "no attention (local is neither lcm nor sa)"
NO_PART = {
    "z": "no local features (local=none)",
    "g": "no global features (gcm=false)",
    "pooled": "no pooled features beside the others (pooled=false)",
}
ONLY_PART = "the classifier is given nothing else"


class MvcclDissection(Dissection):
    """See the module docstring."""

    def __init__(self, model: Mvccl) -> None:
        self.model = model

    @property
    def switches(self) -> tuple[Switch, ...]:
        """All; a switch that this network lacks says why."""
        model, config = self.model, self.model.config
        attends = isinstance(model.local, LocalCoOccurrence | JointSelfAttention)
        no_attention = "" if attends else NO_ATTENTION
        has = {
            "z": model.local is not None,
            "g": model.consistency is not None,
            "pooled": config.pooled or (model.local is None and model.consistency is None),
        }
        missing = {
            part: NO_PART[part] if not has[part] else ONLY_PART if sum(has.values()) == 1 else ""
            for part in has
        }
        does = {
            "z": "the local features of every image are their mean over all images",
            "g": "the global features of every image are their mean over all images",
            "pooled": "the pooled features of every image are their mean over all images",
        }
        return (
            Switch(
                name=STRANGERS,
                does="the attention's queries come from the same view of another patient",
                missing=no_attention,
            ),
            Switch(
                name=UNIFORM,
                does="every query attends to all cells alike",
                missing=no_attention,
            ),
            *(
                Switch(name=CONSTANT[part], does=does[part], missing=missing[part])
                for part in CONSTANT
            ),
            Switch(
                name=OTHER_VIEW,
                does="the breast's other view is that of another patient",
                missing="reads one view at a time (views=one)" if config.views == "one" else "",
            ),
        )

    def features(self, batch: ExamBatch) -> Float[Tensor, "image dim grid_row grid_col"]:
        """Of the encoder."""
        features: Tensor = self.model.encoder(batch.pixels) if batch.codes is None else batch.codes
        return features

    def vectors(
        self, features: Tensor, batch: ExamBatch
    ) -> Mapping[str, Float[Tensor, "image dim"]]:
        """z, g and pooled, as the classifier is given them."""
        parts, _ = self.model.parts(features, other_views(batch)[0])
        return {name: torch.cat(vectors, dim=1) for name, vectors in parts.items()}

    def read(
        self,
        switch: str | None,
        features: Tensor,
        batch: ExamBatch,
        *,
        stranger: Int[Tensor, " image"],
        means: Mapping[str, Float[Tensor, " dim"]],
    ) -> MvcclOutput:
        """See ``Dissection.read``. A breast with one view is its own other view throughout."""
        aux, alone = other_views(batch)
        if switch == OTHER_VIEW:
            aux = torch.where(alone, aux, stranger[aux])
        parts: Parts = self.model.parts(features, aux)[0]
        if switch == STRANGERS:
            parts["z"] = self._attended(features, aux, self._of_strangers(stranger))
        elif switch == UNIFORM:
            parts["z"] = self._attended(features, aux, None)
        for part, name in CONSTANT.items():
            if switch == name:
                count = len(features)
                parts[part] = [means[part].to(features)[None].expand(count, -1)]
        return self.model.output(parts, batch, alone)

    @staticmethod
    def _of_strangers(stranger: Int[Tensor, " image"]) -> Callable[[Tensor], Tensor]:
        return lambda tokens: tokens[stranger]

    def _attended(
        self,
        features: Tensor,
        aux: Int[Tensor, " image"],
        queries_of: Callable[[Tensor], Tensor] | None,
    ) -> list[Tensor]:
        """The local features with other queries; with None, with attention that is uniform."""
        local, tokens = self.model.local, self.model.tokens(features)
        assert isinstance(local, LocalCoOccurrence | JointSelfAttention)
        if isinstance(local, JointSelfAttention):
            return self._joint(local, tokens, aux, queries_of)
        if queries_of is None:
            mean = local.attend.uniform(tokens)
            return [mean[aux], mean]
        asking = queries_of(tokens)
        return [local(asking, tokens[aux]), local(asking[aux], tokens)]

    @staticmethod
    def _joint(
        local: JointSelfAttention,
        tokens: Tensor,
        aux: Int[Tensor, " image"],
        queries_of: Callable[[Tensor], Tensor] | None,
    ) -> list[Tensor]:
        """The same of self-attention over the cells of both views together."""
        both = local.joined(tokens, tokens[aux])
        if queries_of is None:
            mean = local.attend.uniform(both)
            return [mean, mean]
        asking = queries_of(tokens)
        attended: Tensor = local.attend(local.joined(asking, asking[aux]), both)
        half = attended.shape[1] // 2
        return [attended[:, :half].mean(dim=1), attended[:, half:].mean(dim=1)]
