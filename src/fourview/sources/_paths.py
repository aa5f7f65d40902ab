"""Where the files of a table are: paths of other machines, other roots and other formats.

A table's paths were written where the data set was made: with another root, with backslashes, for
files that somebody has since exported as pictures. Each path becomes one under ROOT that is there;
where none is, it stays as the table has it, and ``check`` will tell.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

ENDINGS = (".dcm", ".dicom", "", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp", ".jp2")
_ENDING = re.compile(r"\.(?:dcm|dicom|ima|png|jpe?g|tiff?|pgm|bmp|jp2|j2k)$", re.IGNORECASE)
_FOREIGN = re.compile(r"^(?:file://(?:localhost)?|[a-z][a-z0-9+.-]*://[^/]*)", re.IGNORECASE)
_DRIVE = re.compile(r"^[A-Za-z]:")
DEEPEST = 8  # folders below the root in which a file is looked for by its name


class Files:
    """The files below a root, each folder listed once; the whole tree only where it must be."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, frozenset[str]] = {}
        self._by_stem: dict[str, list[str]] | None = None

    def has(self, path: str) -> bool:
        """Whether a file is there; ``path`` is relative to the root, or absolute."""
        folder, _, name = path.rpartition("/")
        if path.startswith("/") and not folder:
            folder = "/"
        if folder not in self._folders:
            self._folders[folder] = self._names(folder)
        return name in self._folders[folder]

    def with_ending(self, path: str) -> str | None:
        """The path itself, or with another ending; None where no such file is there."""
        if self.has(path):
            return path
        stem = _ENDING.sub("", path)
        return next((stem + end for end in ENDINGS if self.has(stem + end)), None)

    def named(self, *stems: str) -> str | None:
        """The one file anywhere below the root that has one of these names, without ending."""
        if self._by_stem is None:
            self._by_stem = self._tree()
        for stem in stems:
            paths = self._by_stem.get(stem, [])
            if len(paths) == 1:
                return paths[0]
        return None

    def _names(self, folder: str) -> frozenset[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return frozenset(entry.name for entry in entries if not entry.is_dir())
        except (OSError, ValueError):
            return frozenset()

    def _tree(self) -> dict[str, list[str]]:
        by_stem: dict[str, list[str]] = {}
        base = str(self.root)
        for folder, folders, names in os.walk(base):
            below = os.path.relpath(folder, base).replace(os.sep, "/")
            if below.count("/") >= DEEPEST:
                folders.clear()
            folders.sort()
            for name in sorted(names):
                stem = _ENDING.sub("", name)
                if stem != name or "." not in name:
                    path = name if below == "." else f"{below}/{name}"
                    by_stem.setdefault(stem, []).append(path)
        return by_stem


def find_paths(
    root: Path, paths: Iterable[str | None], *, below: Sequence[str] = ("",)
) -> list[str | None]:
    """The path of each file under the root.

    Args:
        root: Folder of the data set.
        paths: Paths as a table has them: relative, absolute, of another root, with backslashes.
        below: Folders of the root in which the files may be, such as "images/".

    Returns:
        In order: a path that is there, relative to the root where it is below it; else the table's
        own, tidied.
    """
    files = Files(root)
    rules: dict[str, tuple[int, str]] = {}  # by what a path begins with: parts dropped, folder
    return [None if path is None else _find_path(files, path, below, rules) for path in paths]


def _find_path(
    files: Files, path: str, below: Sequence[str], rules: dict[str, tuple[int, str]]
) -> str:
    if files.has(path):
        return path
    parts = [part for part in _tidy(path).split("/") if part not in ("", ".")]
    if not parts:
        return path
    start = f"{path[:1] == '/'}{parts[0]}"
    tries = [rules[start]] if start in rules else []
    tries += [(drop, folder) for drop in range(len(parts)) for folder in below]
    for drop, folder in tries:
        if drop >= len(parts):
            continue
        there = files.with_ending(folder + "/".join(parts[drop:]))
        if there is not None:
            rules[start] = (drop, folder)
            return there
    tidy = _tidy(path)
    return tidy if tidy.startswith("/") else "/".join(parts)


def _tidy(path: str) -> str:
    """A path with slashes, without a scheme, a drive or a leading ./ ."""
    text = path.strip()
    if "\\" in text:
        text = text.replace("\\", "/")
    text = _DRIVE.sub("", _FOREIGN.sub("", text))
    return text[2:] if text.startswith("./") else text


def with_found_paths(
    table: pl.DataFrame, root: Path, *, column: str = "path", below: Sequence[str] = ("",)
) -> pl.DataFrame:
    """A table whose column of paths has those that are there."""
    paths = find_paths(root, table[column].to_list(), below=below)
    return table.with_columns(pl.Series(column, paths, dtype=pl.String))


def by_name(
    table: pl.DataFrame, root: Path, *, names: Sequence[Sequence[str]], column: str = "path"
) -> pl.DataFrame:
    """A table whose missing files are looked for anywhere below the root, by their names.

    Args:
        table: A table with a column of paths under the root.
        root: Folder of the data set.
        names: For each row, the names that its file may have, without ending.
        column: Name of the column of paths.
    """
    files = Files(root)
    paths = []
    for path, stems in zip(table[column].to_list(), names, strict=True):
        there = files.with_ending(path)
        paths.append(there or files.named(*stems) or path)
    return table.with_columns(pl.Series(column, paths, dtype=pl.String))
