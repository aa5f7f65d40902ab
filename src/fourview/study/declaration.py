"""A study as it is declared: what is trained, measured, compared and claimed.

``read_study`` makes it of a TOML file; docs/studies.md shows one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fourview.evaluate.several_runs import Statistic

Control = Literal["positive", "negative"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PhantomData(_Part):
    """Phantom exams, as ``fourview phantom`` makes them.

    Attributes:
        change: Fields of the preset with other values; a table changes fields of ``biopsies``.
    """

    preset: str
    exams: int = Field(ge=1)
    seed: int = Field(ge=0)
    rows: int | None = None
    vendors: tuple[str, ...] = ("A", "B", "C")
    syntaxes: tuple[str, ...] = ("1.2.840.10008.1.2.1",)
    change: Mapping[str, Any] = {}


class SplitOfData(_Part):
    """Shares of the patients, in place of the recipes'."""

    train: float
    validation: float
    test: float
    seed: int = 0


class Data(_Part):
    """A data set: phantoms, or a manifest; neither where the command line names it.

    Attributes:
        like: The exams, pixels and split of another data set of the study, with this one's
            ``choose``, such as one that shuffles labels.
        store: Store of that manifest; without it one is made for each pixel spec that is needed.
        choose: ``module:function``, a manifest to the manifest that is used.
    """

    phantom: PhantomData | None = None
    like: str | None = None
    manifest: Path | None = None
    store: Path | None = None
    choose: str | None = None
    split: SplitOfData | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Data":
        said = [name for name in ("phantom", "manifest", "like") if getattr(self, name) is not None]
        if len(said) > 1:
            raise ValueError(f"says {' and '.join(said)}; name one of them")
        if self.like is not None and (self.choose is None or self.split is not None):
            raise ValueError("like goes with choose, and has the split of what it is like")
        if self.store is not None and (self.choose is not None or self.manifest is None):
            raise ValueError("a store goes with a manifest as it is, without choose")
        return self


class Row(_Part):
    """A way of training.

    Attributes:
        set: Settings as ``train --set`` takes them; ``{seed}``, ``{row}`` and names of ``[paths]``
            are filled in.
        data: Data set of the training; the first one where nothing is said.
        start: A row of this study, or the path of a run.
        context: A row or path likewise: the run of the context network.
        seeds: Seeds in place of the study's.
        measured: Whether measures that name no rows take this one.
    """

    recipe: str
    set: tuple[str, ...] = ()
    data: str | None = None
    start: str | None = None
    context: str | None = None
    seeds: tuple[int, ...] | None = None
    measured: bool = True


class Measure(_Part):
    """A number of every row: a metric of a protocol, or the mean of what a function says of units.

    Attributes:
        name: Name on the page and in claims.
        protocol: Protocol by which ``metric`` is measured.
        function: ``module:function``; what it gets and returns is in docs/studies.md.
        on: The data set that is measured; a row's own where nothing is said.
        part: Part of that data set, by the split of the run; by default ``test`` where it has the
            exams that the row was trained on, and all of another.
        rows: Those that are measured, and in which order they are shown.
        reference: Differences are from this row.
        views: Only images of these views are read.
        column: Column of the function's table, averaged over the units.
        less: A column that is subtracted from it.
        statistic: ``mean`` of the column, or ``auroc`` of the column (``score`` where none is
            named) against ``known``, less that of ``less``.
        arguments: Given to the function by name.
    """

    name: str
    protocol: str | None = None
    metric: str = "auroc"
    function: str | None = None
    on: str | None = None
    part: str | None = None
    rows: tuple[str, ...] | None = None
    reference: str | None = None
    views: tuple[str, ...] = ()
    column: str = "value"
    less: str | None = None
    statistic: Statistic = "mean"
    arguments: Mapping[str, Any] = {}

    @model_validator(mode="after")
    def _one_way(self) -> "Measure":
        if (self.protocol is None) == (self.function is None):
            raise ValueError("name a protocol or a function, one of them")
        if self.function is not None and self.views:
            raise ValueError("views go with a protocol; a function reads what it wants")
        return self


class Claim(_Part):
    """What a study asks, fixed before the test part is read.

    Attributes:
        text: The claim in words.
        measure: Measure by which it is judged.
        row: Row whose number it is about, less that of ``less`` if named.
        above: Bound that the whole interval must lie above, for the claim to hold.
        below: Bound that the whole interval must lie below.
        between: Bounds that the whole interval must lie in.
        control: ``positive`` must hold, or the study can show nothing; ``negative`` must not.
    """

    text: str
    measure: str
    row: str
    less: str | None = None
    above: float | None = None
    below: float | None = None
    between: tuple[float, float] | None = None
    control: Control | None = None

    @model_validator(mode="after")
    def _one_range(self) -> "Claim":
        said = [x for x in (self.above, self.below, self.between) if x is not None]
        if len(said) != 1:
            raise ValueError("need one of above, below and between")
        if self.between is not None and self.between[0] >= self.between[1]:
            raise ValueError(f"between is {list(self.between)}, need the lower end first")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """Where the number has to lie."""
        if self.between is not None:
            return self.between
        low = float("-inf") if self.above is None else self.above
        return low, float("inf") if self.below is None else self.below


class Study(_Part):
    """A whole study.

    Attributes:
        takeaway: What a reader takes away, written after the run; it stands first on the page.
        set: Settings of every row.
        modules: Modules as ``--module`` names them.
        paths: Names to be filled in; ``package:NAME/PATTERN`` is a file of an installed package.
    """

    name: str
    title: str
    question: str
    takeaway: str = ""
    seeds: tuple[int, ...] = (0, 1, 2)
    set: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    paths: Mapping[str, str] = {}
    data: Mapping[str, Data]
    rows: Mapping[str, Row]
    measures: tuple[Measure, ...]
    claims: tuple[Claim, ...] = ()

    def data_of(self, row: str) -> str:
        """The data set that a row is trained on."""
        return self.rows[row].data or next(iter(self.data))

    def exams_of(self, data: str) -> str:
        """The data set whose exams and pixels this one has."""
        like = self.data[data].like
        return data if like is None else self.exams_of(like)

    def seeds_of(self, row: str) -> tuple[int, ...]:
        """The seeds of a row."""
        own = self.rows[row].seeds
        return self.seeds if own is None else own

    def rows_of(self, measure: Measure) -> tuple[str, ...]:
        """The rows that a measure is of."""
        if measure.rows is not None:
            return measure.rows
        return tuple(name for name, row in self.rows.items() if row.measured)

    def measure(self, name: str) -> Measure:
        """The measure of that name."""
        return next(m for m in self.measures if m.name == name)

    def needs(self, row: str) -> tuple[str, ...]:
        """Rows that are trained before this one."""
        given = (self.rows[row].start, self.rows[row].context)
        return tuple(name for name in given if name is not None and name in self.rows)
