"""Tables of papers, as the published numbers lay them out, and ours beside theirs.

A table is all numbers of one source ("MaMA, Table 1"). Its rows are methods in a setting, for that
is what one predictions file holds; its columns are a metric on a data set under a protocol.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from fourview.entities import Metric, PublishedNumber, Result
from fourview.errors import EvaluationError
from fourview.evaluate.protocol_words import task_of, view_of
from fourview.evaluate.protocols import PROTOCOLS
from fourview.evaluate.published import published_numbers
from fourview.suggest import did_you_mean, nearest, no_such

_SHORT = {
    "BRAIxMVCCL": "mvccl",
    "Cls-Det-RS": "clsdet",
    "Wu et al. 2020": "lesion",
    "Public meta-repository": "metarepo",
}
_PARTS: Mapping[str, str | None] = {  # where it is not the protocol's; None for the whole set
    "INbreast": "test",
    "CMMD": None,
    "ADMANI-2": None,
    "private, 2,967 images": None,
}
_REMARKS: Mapping[str, tuple[str, ...]] = {
    "mvccl-table2": (
        "the row 'Single view' is not in the table: its number stands in the text of section 3.4",
    ),
}
TOO_NEAR = 0.85  # letters in common with a row of the paper: a slip, no new row
_DEVIATION = "deviation "  # of a single number, so no part of the row's setting


@dataclass(frozen=True, slots=True)
class TableColumn:
    """What a column holds: ``metric`` on ``dataset`` under ``protocol``."""

    protocol: str
    dataset: str
    metric: str

    @property
    def part(self) -> str | None:
        """The part of the data set that the paper measured: a split; None for all of it."""
        return _PARTS.get(self.dataset, PROTOCOLS[self.protocol].split)

    @property
    def task(self) -> str:
        """What is asked: cancer, density, ..."""
        return task_of(PROTOCOLS[self.protocol])

    @property
    def view(self) -> str:
        """What one score is of: single images, both views of a breast, ..."""
        return view_of(PROTOCOLS[self.protocol])


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A method in a setting.

    Attributes:
        method: As the paper calls it.
        setting: How it was trained; empty where the paper says nothing.
        published: The paper's numbers by column; empty for a row that the paper does not have.
    """

    method: str
    setting: str
    published: Mapping[TableColumn, PublishedNumber]

    @property
    def name(self) -> str:
        """The method, then the setting: ``MaMA, zero-shot``."""
        return f"{self.method}, {self.setting}" if self.setting else self.method


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        name: For the command line: ``mvccl-table1``.
        source: Paper and table in words.
        columns: In the paper's order within a protocol.
        rows: In the paper's order.
    """

    name: str
    source: str
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of the protocols that its numbers fall under."""
        return tuple(dict.fromkeys(c.protocol for c in self.columns))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that its numbers are of."""
        return tuple(dict.fromkeys(c.dataset for c in self.columns))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the paper's own numbers."""
        return _REMARKS.get(self.name, ())

    def columns_of_source(self, source: str) -> tuple[TableColumn, ...]:
        """The columns whose data set is named as a manifest's source: ``vindr``, VinDr-Mammo."""
        plain = _plain(source)
        return tuple(c for c in self.columns if plain and _plain(c.dataset).startswith(plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A published table with the rows that were measured.

    Attributes:
        table: What the paper prints.
        added: Measured rows that the paper does not have.
        results: By row name, then by protocol.
        inputs: By row name: which file or run was measured.
        columns: Where our numbers belong: columns of the paper whose data set, part and unit are
            those that were measured, else columns of our own.
        data: The manifest's source.
        dataset: Which of the paper's data sets the manifest is; None where it is not one of them.
        part: What was measured of it, in words.
        manifest_hash: Of the manifest.
        notes: What to know of the numbers, each once.
    """

    table: PublishedTable
    added: tuple[TableRow, ...] = ()
    results: Mapping[str, Mapping[str, Result]]
    inputs: Mapping[str, str]
    columns: tuple[TableColumn, ...]
    data: str
    dataset: str | None = None
    part: str = ""
    manifest_hash: str
    notes: tuple[str, ...] = ()

    @property
    def all_columns(self) -> tuple[TableColumn, ...]:
        """The paper's columns, each group followed by ours of the same protocol on other data."""
        measured = {name for results in self.results.values() for name in results}
        own = [c for c in self.columns if c not in self.table.columns and c.protocol in measured]
        last = {column.protocol: column for column in self.table.columns}
        shown: list[TableColumn] = []
        for column in self.table.columns:
            shown.append(column)
            if last[column.protocol] == column:
                shown += [each for each in own if each.protocol == column.protocol]
        return tuple(shown)

    @property
    def rows(self) -> tuple[TableRow, ...]:
        """The paper's rows, then ours."""
        return (*self.table.rows, *self.added)

    def ours(self, row: TableRow, column: TableColumn) -> Metric | None:
        """Our number for a cell; None where it was not measured."""
        result = self.results.get(row.name, {}).get(column.protocol)
        if result is None or column not in self.columns:
            return None
        return next(m for m in result.metrics if m.name == column.metric)

    @property
    def is_on_published_data(self) -> bool:
        """Whether our numbers stand in the paper's own columns."""
        return any(column in self.table.columns for column in self.columns)

    @property
    def comparable(self) -> str:
        """What a reader has to know before the two numbers of a cell are compared."""
        manifest = f"the manifest of '{self.data}', hash {self.manifest_hash}"
        manifest += f", {self.part}" if self.part else ""
        protocols = {column.protocol for column in self.columns}
        theirs = " and ".join(
            dict.fromkeys(
                column.dataset
                for column in self.table.columns
                if (column in self.columns) == self.is_on_published_data
                and (not protocols or column.protocol in protocols)
            )
        )
        if self.is_on_published_data:
            return (
                f"Ours are of {manifest}. They can be compared with the paper's ({theirs}) only if"
                " that is the paper's set: the same exams, split and labels."
            )
        return (
            f"Not comparable: ours are of {manifest}, theirs of {theirs}. Numbers on other data say"
            " nothing of whether a method was reproduced. If the manifest is the paper's set, name"
            " it with --dataset, and its part with --split."
        )


@cache
def published_tables() -> Mapping[str, PublishedTable]:
    """Every table of which numbers are published, by name."""
    by_source: dict[str, list[PublishedNumber]] = {}
    for protocol in PROTOCOLS:
        for number in published_numbers(protocol):
            if number.protocol == protocol:  # a protocol on a sample shows those of its whole
                by_source.setdefault(number.source, []).append(number)
    tables = [_table(source, numbers) for source, numbers in by_source.items()]
    return {table.name: table for table in sorted(tables, key=lambda t: t.name)}


def find_table(name: str) -> PublishedTable:
    """The table of that name.

    Raises:
        EvaluationError: There is none; the message names the nearest.
    """
    tables = published_tables()
    if name not in tables:
        raise EvaluationError(no_such("published table", name, tables))
    return tables[name]


def find_row(table: PublishedTable, name: str) -> TableRow:
    """The table's row of that name, in any case; the method suffices where it has one setting.

    A name unlike all of the table's is a new row without published numbers.

    Raises:
        EvaluationError: Several rows have this method, or the name is nearly one of the table's.
    """
    wanted = name.strip().casefold()
    rows = {row.name.casefold(): row for row in table.rows}
    if wanted in rows:
        return rows[wanted]
    of_method = [row for row in table.rows if row.method.casefold() == wanted]
    if len(of_method) == 1:
        return of_method[0]
    if of_method or not wanted:
        names = "; ".join(row.name for row in of_method or table.rows)
        raise EvaluationError(f"{table.name}: which row is '{name}'? name one of: {names}")
    near = nearest(wanted, rows, at_least=TOO_NEAR)
    if near is not None:
        raise EvaluationError(
            f"{table.name}: no row '{name}'; {did_you_mean(near, [rows[near].name])}a new row needs"
            " a name that is less like one of the paper's"
        )
    return TableRow(method=name.strip(), setting="", published={})


def deviation_of(number: PublishedNumber) -> str:
    """The spread that a paper prints with a number, such as ``0.03``; empty where none."""
    parts = number.setting.split(", ")
    return next((p.removeprefix(_DEVIATION) for p in parts if p.startswith(_DEVIATION)), "")


def _table(source: str, numbers: list[PublishedNumber]) -> PublishedTable:
    rows: dict[tuple[str, str], dict[TableColumn, PublishedNumber]] = {}
    columns: dict[TableColumn, None] = {}
    for number in numbers:
        column = TableColumn(number.protocol, number.dataset, number.metric)
        columns[column] = None
        row = rows.setdefault((number.method, _setting(number)), {})
        assert column not in row, f"{source}: two numbers for {number}"
        row[column] = number
    return PublishedTable(
        name=_name(source),
        source=source,
        columns=_grouped(tuple(columns)),
        rows=tuple(TableRow(method=m, setting=s, published=c) for (m, s), c in rows.items()),
    )


def _grouped(columns: tuple[TableColumn, ...]) -> tuple[TableColumn, ...]:
    """Columns of one protocol and data set side by side, each in its first place."""
    groups = list(dict.fromkeys((c.protocol, c.dataset) for c in columns))
    return tuple(sorted(columns, key=lambda c: groups.index((c.protocol, c.dataset))))


def _setting(number: PublishedNumber) -> str:
    parts = number.setting.split(", ")
    return ", ".join(p for p in parts if not p.startswith(_DEVIATION))


def _name(source: str) -> str:
    paper, _, place = source.rpartition(", ")
    return f"{_SHORT.get(paper, _slug(paper))}-{_plain(place)}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
