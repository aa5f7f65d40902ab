"""The four tables of a data set: made, checked, hashed, written and read.

Reads:   a folder with images, breasts, exams and findings as Parquet, and manifest.json.
Returns: ``Manifest``; its tables have at least the columns of ``entities`` with their types, are
         sorted by their keys, and passed every rule of ``manifest.rules``.
Unknown: null, in every column. NaN that comes in becomes null.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from fourview.disk import named_if_full
from fourview.entities import (
    BREASTS_SCHEMA,
    EXAMS_SCHEMA,
    FINDINGS_SCHEMA,
    IMAGES_SCHEMA,
    Manifest,
)
from fourview.entities.labels import with_labels
from fourview.errors import ManifestError
from fourview.fingerprint import digest_of_texts
from fourview.json_file import read_json_object
from fourview.manifest.content_hash import table_digest
from fourview.manifest.rules import faults

SCHEMA_VERSION = 1  # raised when a reader of today could not understand the tables of tomorrow
DESCRIPTION = "manifest.json"


class TableRule(NamedTuple):
    """What a table must have: its columns, and the keys it is sorted by."""

    schema: Mapping[str, Any]
    keys: tuple[str, ...]


TABLES: Mapping[str, TableRule] = {
    "images": TableRule(IMAGES_SCHEMA, ("patient_id", "exam_id", "image_id")),
    "breasts": TableRule(BREASTS_SCHEMA, ("patient_id", "exam_id", "side")),
    "exams": TableRule(EXAMS_SCHEMA, ("patient_id", "exam_id")),
    "findings": TableRule(FINDINGS_SCHEMA, ("patient_id", "exam_id", "finding_id", "image_id")),
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "images": ("patient_id", "exam_id", "image_id"),
    "breasts": ("patient_id", "exam_id", "side"),
    "exams": ("patient_id", "exam_id"),
    "findings": ("patient_id", "exam_id", "finding_id"),
}


def make_manifest(
    *,
    source: str,
    root: Path | str,
    images: pl.DataFrame,
    breasts: pl.DataFrame | None = None,
    exams: pl.DataFrame | None = None,
    findings: pl.DataFrame | None = None,
    terms: str,
    label_rules: Mapping[str, str] | None = None,
    may_release_weights: bool = True,
) -> Manifest:
    """Turn a source's tables into a manifest: typed, completed, sorted, checked.

    Known columns that are missing are filled with null, extra ones are kept. A breast or an exam
    that has images but no row of its own gets one with unknown labels.

    Args:
        source: Name of the reader, such as "rsna".
        root: Folder that ``path`` is relative to; kept as an absolute path, so that the manifest
            can be read from any folder.
        images: At least patient_id, exam_id and image_id; ids may be integers.
        breasts: At least patient_id, exam_id and side; None where nothing is known of breasts.
        exams: At least patient_id and exam_id; None where nothing is known of exams.
        findings: At least patient_id, exam_id and finding_id, one row per region.
        terms: Terms of use of the data, in a sentence.
        label_rules: For each label, in words, how it was made.
        may_release_weights: False where the terms forbid to pass on weights trained on the data.

    Raises:
        ManifestError: A column is missing or has another type, or a row breaks a rule; the message
            names the first such row.
    """
    image_table = _typed("images", images)
    breast_table = _with_rows_of(image_table, _typed("breasts", breasts), "breasts")
    exam_table = _with_rows_of(image_table, _typed("exams", exams), "exams")
    exam_table = _with_rows_of(breast_table, exam_table, "exams")
    manifest = Manifest(
        images=_sorted("images", image_table),
        breasts=_sorted("breasts", breast_table),
        exams=_sorted("exams", exam_table),
        findings=_sorted("findings", _typed("findings", findings)),
        source=source,
        root=str(Path(root).absolute()),
        terms=terms,
        label_rules=dict(label_rules or {}),
        may_release_weights=may_release_weights,
    )
    require_valid(manifest)
    return manifest


def require_valid(manifest: Manifest) -> None:
    """Pass a manifest that keeps every rule of ``manifest.rules``.

    Raises:
        ManifestError: It breaks one; the message names the first row that does.
    """
    for fault in faults(manifest):
        raise ManifestError(fault.text)


def images_to_read(manifest: Manifest) -> pl.DataFrame:
    """The images that are read: those without a reason to leave them out."""
    return manifest.images.filter(pl.col("left_out").is_null())


def images_with_labels(manifest: Manifest) -> pl.DataFrame:
    """The images to read, each with what is known of its breast and its exam.

    Adds ``cancer``, ``birads`` and ``density`` of the breast (the exam's density where the breast
    has none), and ``age`` and ``split`` of the exam; null where unknown. Order is kept.
    """
    labels = ("cancer", "birads", "density")
    images = images_to_read(manifest).drop("age", "split", strict=False)
    labelled = with_labels(
        images, labels, breasts=manifest.breasts, exams=manifest.exams, own=False
    )
    exams = manifest.exams.select("exam_id", "age", "split")
    return labelled.join(exams, on="exam_id", how="left", maintain_order="left")


def manifest_hash(manifest: Manifest) -> str:
    """Hash of the content: the same on every machine, for any order of rows or columns.

    ``root`` does not count, since it says where the data lie and not what they are.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    tables = {name: _sorted(name, getattr(manifest, name)) for name in TABLES}
    return hash_of_digests(manifest, {name: table_digest(t) for name, t in tables.items()})


def hash_of_digests(about: Manifest, digests: Mapping[str, str]) -> str:
    """The hash of the manifest whose sorted tables have these digests; ``about`` gives the rest."""
    parts = [f"schema {SCHEMA_VERSION}", about.source, about.terms]
    parts += [json.dumps(dict(about.label_rules), sort_keys=True)]
    parts += [str(about.may_release_weights)]
    parts += [f"{name} {digests[name]}" for name in TABLES]
    return digest_of_texts(parts)


def write_manifest(manifest: Manifest, path: Path | str) -> str:
    """Write the folder ``path``; what a crash leaves half written is refused by the reader.

    A new folder appears by one rename. In an existing one each file is replaced by a rename,
    manifest.json last; its hash tells ``read_manifest`` if a crash left files of two writings.

    Returns:
        The manifest's hash.

    Raises:
        ManifestError: ``path`` exists and holds other things than a manifest.
    """
    digest = manifest_hash(manifest)
    with manifest_draft(Path(path)) as draft:
        for name in TABLES:
            _sorted(name, getattr(manifest, name)).write_parquet(draft / f"{name}.parquet")
        rows = {name: len(getattr(manifest, name)) for name in TABLES}
        write_description(draft, manifest, rows, digest)
    return digest


@contextmanager
def manifest_draft(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to write the files of a manifest into; at the end they go there.

    Raises:
        ManifestError: ``path`` exists and holds other things than a manifest.
    """
    if path.exists() and not (path / DESCRIPTION).is_file() and _holds_anything(path):
        raise ManifestError(f"{path}: holds no manifest; name a new folder or an old manifest")
    path.parent.mkdir(parents=True, exist_ok=True)
    inside = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    with named_if_full(path), inside as folder:
        draft = Path(folder) / "manifest"
        draft.mkdir()
        yield draft
        if not path.exists():
            draft.rename(path)
        else:
            for name in (*(f"{t}.parquet" for t in TABLES), DESCRIPTION):
                os.replace(draft / name, path / name)  # noqa: PTH105 (Path.replace is the same)


def write_description(folder: Path, about: Manifest, rows: Mapping[str, int], digest: str) -> None:
    """Write manifest.json; of ``about`` everything but the tables is taken."""
    text = {
        "schema_version": SCHEMA_VERSION,
        "source": about.source,
        "root": about.root,
        "terms": about.terms,
        "may_release_weights": about.may_release_weights,
        "label_rules": dict(about.label_rules),
        "rows": dict(rows),
        "hash": digest,
    }
    lines = json.dumps(text, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(lines, encoding="utf-8")


def read_manifest(path: Path | str, *, validate: bool = True) -> Manifest:
    """Read a folder written by ``write_manifest``.

    Args:
        path: The folder.
        validate: False skips the hash and the rules, for ``check``, which lists all that is wrong.

    Raises:
        ManifestError: It is no manifest, was written by a newer version, is not what was written,
            or a row breaks a rule.
    """
    path = Path(path)
    about = read_description(path)
    manifest = Manifest(
        images=_typed("images", _read_table(path, "images")),
        breasts=_typed("breasts", _read_table(path, "breasts")),
        exams=_typed("exams", _read_table(path, "exams")),
        findings=_typed("findings", _read_table(path, "findings")),
        source=about["source"],
        root=about["root"],
        terms=about["terms"],
        label_rules=about["label_rules"],
        may_release_weights=about["may_release_weights"],
    )
    if validate:
        if manifest_hash(manifest) != about["hash"]:
            raise ManifestError(
                f"{path}: the tables are not those that {DESCRIPTION} was written for; index again,"
                " or read with validate=False and write with write_manifest"
            )
        require_valid(manifest)
    return manifest


def stored_hash(path: Path) -> str:
    """The hash that a manifest folder says it has, without reading its tables.

    Raises:
        ManifestError: The folder is no manifest.
    """
    return str(read_description(path)["hash"])


def read_description(path: Path) -> dict[str, Any]:
    """What manifest.json says: source, root, terms, label_rules, rows by table, hash and others.

    Raises:
        ManifestError: There is none, or it is not what this version reads.
    """
    try:
        about = read_json_object(path / DESCRIPTION)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no {DESCRIPTION}; make it with 'fourview index'") from None
    except ValueError as error:
        raise ManifestError(f"{path / DESCRIPTION}: is no JSON ({error}); index again") from None
    needed = {"schema_version", "source", "root", "terms", "label_rules", "hash"}
    needed |= {"may_release_weights", "rows"}
    missing = needed - set(about)
    if missing:
        raise ManifestError(f"{path / DESCRIPTION}: lacks {', '.join(sorted(missing))}")
    if about["schema_version"] != SCHEMA_VERSION:
        raise ManifestError(
            f"{path / DESCRIPTION}: has schema version {about['schema_version']}, this reads"
            f" {SCHEMA_VERSION}; index again, or use the version of Fourview that wrote it"
        )
    return dict(about)


def _read_table(path: Path, name: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path / f"{name}.parquet")
    except (FileNotFoundError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(
            f"{path / name}.parquet: cannot be read ({reason}); index again"
        ) from None


def _holds_anything(path: Path) -> bool:
    return not path.is_dir() or any(path.iterdir())


def _typed(name: str, table: pl.DataFrame | None) -> pl.DataFrame:
    """The known columns in their order with their types, then the source's own."""
    schema, _ = TABLES[name]
    if table is None:
        return pl.DataFrame(schema=dict(schema))
    missing = [column for column in REQUIRED[name] if column not in table.columns]
    if missing:
        raise ManifestError(f"{name}: no column {', '.join(missing)}; have {table.columns}")
    known = [
        _cast(name, table[column], dtype)
        if column in table.columns
        else pl.Series(column, [None], dtype=dtype).new_from_index(0, len(table))
        for column, dtype in schema.items()
    ]
    extra = [table[column] for column in table.columns if column not in schema]
    return pl.DataFrame(known + [s.fill_nan(None) if s.dtype.is_float() else s for s in extra])


def _cast(name: str, values: pl.Series, dtype: Any) -> pl.Series:
    """``values`` as ``dtype``, NaN as null; nothing is rounded and nothing lost."""
    where = f"{name}.{values.name}"
    if values.dtype.is_float():
        values = values.fill_nan(None)
        if dtype == pl.String:
            raise ManifestError(f"{where}: is {values.dtype}, need text or integers")
        odd = values.filter(values != values.round()) if dtype.is_integer() else values.head(0)
        if len(odd):
            raise ManifestError(f"{where}: holds {odd[0]}, need a whole number or null")
    try:
        return values.cast(dtype, strict=True)
    except pl.exceptions.PolarsError:
        bad = values.filter(values.is_not_null() & _cannot(values, dtype))
        example = f" such as {bad[0]!r}" if len(bad) else ""
        raise ManifestError(f"{where}: has {values.dtype} values{example}, need {dtype}") from None


def _cannot(values: pl.Series, dtype: Any) -> pl.Series:
    try:
        return values.cast(dtype, strict=False).is_null()
    except pl.exceptions.PolarsError:
        return pl.Series([True]).new_from_index(0, len(values))


def _with_rows_of(images: pl.DataFrame, table: pl.DataFrame, name: str) -> pl.DataFrame:
    """``table`` with a row of nulls for each breast or exam that it lacks."""
    keys = [key for key in TABLES[name].keys if key != "patient_id"]
    have = images.drop_nulls(keys).select("patient_id", *keys).unique(keys, maintain_order=True)
    absent = have.join(table.select(keys), on=keys, how="anti")
    return pl.concat([table, absent], how="diagonal") if len(absent) else table


def _sorted(name: str, table: pl.DataFrame) -> pl.DataFrame:
    """The table sorted by its keys; for findings, whose keys may repeat, then by other columns."""
    by = list(TABLES[name].keys)
    if name == "findings":
        by += sorted(c for c in table.columns if c not in by and not table[c].dtype.is_nested())
    elif _is_sorted(table, by):  # looking takes a sixth of the time of sorting
        return table
    return table.sort(by, nulls_last=True)


def _is_sorted(table: pl.DataFrame, by: list[str]) -> bool:
    """Whether each row's keys come after those of the row before; False where one is null."""
    after: pl.Expr = pl.lit(False)
    for key in reversed(by):
        before = pl.col(key).shift(1)
        after = (before < pl.col(key)) | ((before == pl.col(key)) & after)
    return bool(table.select(after.slice(1).all(ignore_nulls=False).fill_null(False)).item())
