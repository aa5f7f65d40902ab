"""Contact sheets: what the pipeline makes of a manifest's images, many on one picture.

Each tile shows the whole image as its file asks to be shown, with the outline of the breast's mask
and a bar at the side of the chest wall, and beside it the pixels that a model gets.
What a person should look at is red: a file that could not be processed, a side that is unsure, or
one that is not what the header says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from fourview.disk import write_bytes
from fourview.entities import Image, Manifest
from fourview.errors import FourviewError, ReportError
from fourview.jobs.executor import Executor
from fourview.jobs.schedule import Lost
from fourview.manifest.manifest import images_to_read
from fourview.preprocess.breast import UNSURE, find_breast
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.preprocess.window import MAX_LEVEL, choose_display, to_levels
from fourview.report.display import encode
from fourview.store.read_image import read_listed_image

TILE_ROWS, TILE_COLS = 260, 340
PANEL_ROWS, WHOLE_COLS = 220, 210
ACROSS, DOWN = 6, 5  # tiles on one picture
TIMEOUT_S = 120.0
OUTLINE, BAR, RED, WHITE = (0, 220, 255), (255, 160, 0), (60, 60, 255), (235, 235, 235)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX

Picture = UInt8[np.ndarray, "row col 3"]
Page = UInt8[np.ndarray, "_ _ 3"]  # pages differ in size


@dataclass(frozen=True, slots=True)
class _Job:
    """One tile to be made."""

    index: int
    root: str
    row: dict[str, Any]
    spec: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One image on the sheet.

    Attributes:
        picture: Its tile, BGR.
        odd: Whether a person should look at it.
    """

    picture: Picture
    odd: bool


def contact_sheet(
    manifest: Manifest,
    out: Path,
    *,
    spec: PixelSpec,
    num: int | None,
    executor: Executor,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Path], int]:
    """Write contact sheets of a manifest's images.

    Args:
        manifest: Whose images.
        out: A .png, .jpg or .webp file; further pages get a number before the suffix.
        spec: What the pixels beside each image are made with.
        num: How many images, spread evenly over the manifest; None shows all.
        executor: Where images are read.
        progress: Called with images done and wanted.

    Returns:
        The files, and how many of the images a person should look at.

    Raises:
        ReportError: A suffix of no such format, or no image to show.
    """
    kinds = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
    kind = kinds.get(out.suffix.lower())
    if kind is None:
        raise ReportError(f"{out}: a contact sheet is a .png, .jpg or .webp file")
    rows = images_to_read(manifest)
    if not len(rows):
        raise ReportError("the manifest has no image to show")
    count = len(rows) if num is None else min(num, len(rows))
    chosen = np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int)).tolist()
    jobs = [
        _Job(i, str(manifest.root), row, spec.name)
        for i, row in enumerate(rows[chosen].iter_rows(named=True))
    ]
    tiles: dict[int, Tile] = {}
    for job, done in executor.run(_tile_of, jobs, timeout_s=TIMEOUT_S):
        tiles[job.index] = _failed(job.row, done.reason) if isinstance(done, Lost) else done
        if progress is not None:
            progress(len(tiles), len(jobs))
    ordered = [tiles[i] for i in range(len(jobs))]
    out.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for page, picture in enumerate(sheets([t.picture for t in ordered])):
        path = out if page == 0 else out.with_stem(f"{out.stem}-{page + 1:03d}")
        write_bytes(path, encode(picture, kind))
        written.append(path)
    return written, sum(tile.odd for tile in ordered)


def sheets(pictures: Sequence[Picture]) -> list[Page]:
    """Tiles on pages, row by row; the last page is no larger than it needs to be."""
    pages = []
    for first in range(0, len(pictures), ACROSS * DOWN):
        part = list(pictures[first : first + ACROSS * DOWN])
        across = min(ACROSS, len(part))
        part += [np.zeros_like(part[0])] * (-len(part) % across)
        lines = [np.hstack(part[k : k + across]) for k in range(0, len(part), across)]
        pages.append(np.vstack(lines))
    return pages


def tile_of(
    image: Image,
    spec: PixelSpec,
    *,
    name: str,
    voi: Any = None,
    mask: np.ndarray | None = None,
) -> Tile:
    """The tile of one image in memory.

    Args:
        image: As a reader gives it.
        spec: What the pixels beside it are made with.
        name: Its first caption.
        voi: See ``process``.
        mask: Another outline to draw, for comparison; the pixels beside are then left out.
    """
    tile = np.zeros((TILE_ROWS, TILE_COLS, 3), np.uint8)
    if mask is not None:
        whole = _fit(_whole(image, mask), mask, None)
        tile[: whole.shape[0], : whole.shape[1]] = whole
        return _with_text(tile, name, "", odd=False)
    try:
        breast = find_breast(image)
        processed = process(image, spec, voi=voi)
    except FourviewError as error:
        return _with_text(tile, name, str(error), odd=True)
    whole = _fit(_whole(image, breast.mask), breast.mask, breast.chest_wall)
    tile[: whole.shape[0], : whole.shape[1]] = whole
    shown = np.rint(processed.pixels * 255).astype(np.uint8)
    scale = min(PANEL_ROWS / shown.shape[0], (TILE_COLS - WHOLE_COLS - 6) / shown.shape[1])
    size = (max(1, int(shown.shape[1] * scale)), max(1, int(shown.shape[0] * scale)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    tile[: size[1], WHOLE_COLS : WHOLE_COLS + size[0]] = small[..., None]
    expected = {"L": "left", "R": "right"}[image.view.side]
    wall = breast.chest_wall or "not seen"
    odd = wall != expected or breast.certainty < UNSURE
    words = f"wall {wall} ({breast.certainty:.2f})"
    words += "" if wall == expected else f", header {expected}"
    return _with_text(tile, name, words, odd=odd)


def _tile_of(job: _Job) -> Tile:
    """Read, process and draw; a file that cannot be read gets a tile that says so."""
    name = _name(job.row)
    spec = pixel_spec(job.spec)
    try:
        image = read_listed_image(Path(job.root) / str(job.row["path"]), job.row, spec)
        return tile_of(image, spec, name=name, voi=job.row.get("voi"))
    except FourviewError as error:
        return _failed(job.row, str(error))


def _name(row: dict[str, Any]) -> str:
    """Side, view and the end of the path."""
    path = Path(str(row["path"]))
    return f"{row['side'] or '?'}-{row['view'] or '?'} {'/'.join(path.parts[-2:])}"


def _failed(row: dict[str, Any], why: str) -> Tile:
    tile = np.zeros((TILE_ROWS, TILE_COLS, 3), np.uint8)
    return _with_text(tile, _name(row), why, odd=True)


def _with_text(tile: Picture, name: str, words: str, *, odd: bool) -> Tile:
    """Two lines below the picture, or a sentence over more of it."""
    drawn: Any = tile
    width = TILE_COLS // 7  # characters of a line
    cv2.putText(
        drawn, _plain(name)[-width:], (3, PANEL_ROWS + 15), FONT, 0.4, WHITE, 1, cv2.LINE_AA
    )
    colour = RED if odd else WHITE
    lines = [_plain(words)[k : k + width] for k in range(0, min(len(words), 8 * width), width)]
    top = PANEL_ROWS + 32 - 15 * max(0, len(lines) - 1) - (17 if len(lines) > 1 else 0)
    for k, line in enumerate(lines):
        cv2.putText(drawn, line, (3, top + 15 * k), FONT, 0.4, colour, 1, cv2.LINE_AA)
    return Tile(drawn, odd)


def _plain(text: str) -> str:
    """The font draws ASCII only."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _whole(image: Image, mask: np.ndarray) -> np.ndarray:
    """The whole image as its file asks to be shown, 0 to 255."""
    display, _ = choose_display(image, mask, range_="window", voi="header")
    levels = to_levels(image.pixels, display, invert=not image.bright_is_dense)
    return np.asarray(levels // ((MAX_LEVEL + 1) // 256)).astype(np.uint8)  # of 16 bits the upper 8


def _fit(shown: np.ndarray, mask: np.ndarray, wall: str | None) -> Picture:
    """The whole image, small, with outline and chest wall."""
    rows, cols = shown.shape
    scale = min(PANEL_ROWS / rows, (WHOLE_COLS - 6) / cols)
    size = (max(1, int(cols * scale)), max(1, int(rows * scale)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    picture: Any = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
    inside = (share >= 128).astype(np.uint8)  # at least half of a small pixel
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, OUTLINE, 1, cv2.LINE_AA)
    if wall is not None:
        bar = np.s_[:, :3] if wall == "left" else np.s_[:, -3:]
        picture[bar] = BAR
    return np.asarray(picture)
