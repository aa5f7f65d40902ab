"""A manifest written part by part, with one part in memory: for data of any size.

Part:    a ``Manifest`` of its own, checked when it was made. Its rows come after those of the part
         before. An exam may go on from one part to the next: its images and breasts are then in
         both. Where both have a row of an exam or a breast, the later row counts.
Result:  the folder, the rows and the hash that ``write_manifest`` gives for all parts at once.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.manifest.content_hash import parts_digest
from fourview.manifest.manifest import TABLES, hash_of_digests, manifest_draft, write_description

ONCE = {"images": "image_id", "exams": "exam_id"}  # what no two parts may both have
MAY_GO_ON = ("breasts", "exams")  # tables with a row of what may go on in the next part
ROW_GROUP = 1 << 15  # rows; a reader's unit


def write_in_parts(parts: Iterable[Manifest], path: Path) -> str:
    """Write a manifest that comes in parts to the folder ``path``.

    Args:
        parts: Parts in the order of patients, then exams; at least one. All have the same columns
            and say the same of source, root, terms and rules.
        path: As for ``write_manifest``.

    Returns:
        The manifest's hash.

    Raises:
        ManifestError: Two parts have the same image or exam, or ``path`` holds other things.
        ValueError: There is no part, or one comes before the end of the part before.
    """
    with manifest_draft(path) as draft:
        about: Manifest | None = None
        tables = {name: _Table(name, draft.parent / "parts" / name) for name in TABLES}
        for part in parts:
            for name, table in tables.items():
                table.add(getattr(part, name))
            about = about or _without_rows(part)
        if about is None:
            raise ValueError("no part of a manifest to write")
        for table in tables.values():
            table.finish(draft)
        digests = {name: parts_digest(table.files) for name, table in tables.items()}
        digest = hash_of_digests(about, digests)
        rows = {name: table.num_rows for name, table in tables.items()}
        write_description(draft, about, rows, digest)
    return digest


class _Table:
    """One table on its way to the disk.

    Attributes:
        files: One Parquet file per part.
        num_rows: Rows of all files.
        held: Rows of the last exam, which the next part may tell more of; None at first.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.keys = name, list(TABLES[name].keys)
        self.folder = folder
        self.files: list[Path] = []
        self.num_rows = 0
        self.held: pl.DataFrame | None = None
        self.last: tuple[str, ...] | None = None
        folder.mkdir(parents=True)

    def add(self, rows: pl.DataFrame) -> None:
        if self.name not in MAY_GO_ON:
            self._write(rows)
            return
        if rows.is_empty():
            self._write(rows)
            return
        if self.held is not None:
            both = pl.concat([self.held, rows])
            rows = both.unique(self.keys, keep="last", maintain_order=True).sort(self.keys)
        last = rows.row(-1, named=True)
        is_last = pl.all_horizontal(pl.col(k) == last[k] for k in ("patient_id", "exam_id"))
        self.held = rows.filter(is_last)
        self._write(rows.filter(~is_last))

    def finish(self, draft: Path) -> None:
        """Write what is held, see that nothing stands twice, and make the table's one file."""
        if self.held is not None:
            self._write(self.held)
        if self.name in ONCE:
            self._require_once(ONCE[self.name])
        out = draft / f"{self.name}.parquet"
        pl.scan_parquet(self.files).sink_parquet(out, row_group_size=ROW_GROUP)

    def _write(self, rows: pl.DataFrame) -> None:
        if rows.is_empty() and self.files:
            return
        if self.name != "findings" and len(rows):  # whose keys may be null, and are not unique
            first, last = rows.select(self.keys).row(0), rows.select(self.keys).row(-1)
            if self.last is not None and first <= self.last:
                raise ValueError(f"{self.name}: a part goes back from {self.last} to {first}")
            self.last = last
        self.files.append(self.folder / f"{len(self.files):06d}.parquet")
        rows.write_parquet(self.files[-1], compression="lz4", statistics=False)
        self.num_rows += len(rows)

    def _require_once(self, key: str) -> None:
        """Refuse a key that stands twice.

        Hashes of eight bytes per row are compared in memory; rows only where their hashes agree.
        """
        hashes = pl.concat([self._column(file, key).hash() for file in self.files]).sort()
        twice = hashes.filter(hashes == hashes.shift(1)).unique()
        if twice.is_empty():
            return
        columns = (self._column(file, key) for file in self.files)
        candidates = pl.concat([ids.filter(ids.hash().is_in(twice.implode())) for ids in columns])
        repeated = candidates.filter(candidates.is_duplicated())
        if len(repeated):
            raise ManifestError(
                f"{self.name}: {key} '{repeated[0]}' stands in two exams or patients, need one row"
            )

    def _column(self, file: Path, name: str) -> pl.Series:
        return pl.read_parquet(file, columns=[name])[name]


def _without_rows(part: Manifest) -> Manifest:
    """What is kept of a part when its rows are on the disk."""
    return replace(part, **{name: getattr(part, name).clear() for name in TABLES})
