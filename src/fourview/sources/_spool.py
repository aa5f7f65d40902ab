"""Rows on disk in shelves: what does not fit into memory is written and read one part at a time.

It is what a sort or a join of more rows than memory holds is made of: rows that belong together,
because they have the same key or lie in the same range of keys, go to the same shelf.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl


class Spool:
    """Shelves of rows in a folder, which the caller removes.

    Attributes:
        folder: Made here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[int, list[Path]] = {}  # by shelf, in the order of putting
        folder.mkdir(parents=True)

    def put(self, rows: pl.DataFrame, shelf: str) -> None:
        """Put rows on shelves.

        Args:
            rows: Always with the same columns.
            shelf: The column with the number of each row's shelf; it is not kept.
        """
        for (number,), part in rows.partition_by(
            shelf, as_dict=True, include_key=False, maintain_order=True
        ).items():
            files = self._files.setdefault(int(number), [])
            files.append(self.folder / f"{number}-{len(files)}.parquet")
            part.write_parquet(files[-1], compression="lz4", statistics=False)

    def shelves(self) -> Iterator[pl.DataFrame]:
        """The rows of each shelf that has any, by its number; in the order in which they came.

        A shelf's files are gone when the next one is taken.
        """
        for number in sorted(self._files):
            files = self._files.pop(number)
            yield pl.concat([pl.read_parquet(file) for file in files])
            for file in files:
                file.unlink()
