import json

import cv2
import numpy as np
import pytest

from fourview.cli.main import main
from fourview.phantom.write import write_phantom
from fourview.report.contact_sheet import (
    ACROSS,
    BAR,
    DOWN,
    PANEL_ROWS,
    TILE_COLS,
    TILE_ROWS,
    WHOLE_COLS,
    sheets,
)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two exams on film, one of whose files is no DICOM file any more."""
    root = tmp_path_factory.mktemp("films")
    write_phantom(root, num_exams=2, seed=1, preset="miniature", rows=96, vendors=("film",))
    assert _run("index", str(root), "--source", "phantom", "-o", str(root / "manifest")) == 0
    broken = sorted(root.rglob("*.dcm"))[3]
    broken.write_bytes(b"nothing")
    return root


def _run(*args):
    try:
        return main(list(args)) or 0
    except SystemExit as end:
        return int(end.code or 0)


def _sheet(root, out, capsys, *more):
    capsys.readouterr()
    args = (
        "check",
        str(root / "manifest"),
        "--contact-sheet",
        str(out),
        "--workers",
        "1",
        "--json",
    )
    code = _run(*args, *more)
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out.startswith("{") else {}, said.err


def _tiles(path):
    picture = cv2.imread(str(path))
    down, across = picture.shape[0] // TILE_ROWS, picture.shape[1] // TILE_COLS
    assert picture.shape[:2] == (down * TILE_ROWS, across * TILE_COLS)
    return [
        picture[r * TILE_ROWS : (r + 1) * TILE_ROWS, c * TILE_COLS : (c + 1) * TILE_COLS]
        for r in range(down)
        for c in range(across)
    ]


def _is_red(tile):
    text = tile.astype(int)  # a long sentence goes over the picture
    return bool((text[..., 2] - text[..., :2].max(axis=-1) > 60).any())


def test_every_image_has_a_tile_and_the_red_ones_are_counted(films, tmp_path, capsys):
    code, said, _ = _sheet(films, tmp_path / "all.png", capsys, "--sheet-images", "0")
    assert code in (0, 1)
    assert said["contact_sheets"] == [str(tmp_path / "all.png")]
    tiles = [t for t in _tiles(tmp_path / "all.png") if t.any()]
    assert len(tiles) == 8
    assert sum(_is_red(tile) for tile in tiles) == said["odd_images"] >= 1
    read = [tile for tile in tiles if (tile == BAR).all(axis=-1).any()]
    assert len(read) == 7  # all but the broken file have a bar at their chest wall
    for tile in read:
        assert tile[:PANEL_ROWS, WHOLE_COLS:].max() > 100  # the pixels that a model gets


def test_fewer_images_are_spread_over_the_manifest(films, tmp_path, capsys):
    _, said, _ = _sheet(films, tmp_path / "few.jpg", capsys, "--sheet-images", "3")
    assert said["contact_sheets"] == [str(tmp_path / "few.jpg")]
    assert len(_tiles(tmp_path / "few.jpg")) == 3


def test_another_format_is_refused_before_anything_is_read(films, tmp_path, capsys):
    code, _, error = _sheet(films, tmp_path / "sheet.bmp", capsys)
    assert code == 3
    assert "a contact sheet is a .png, .jpg or .webp file" in error
    assert not (tmp_path / "sheet.bmp").exists()


def test_pages_hold_all_tiles_in_their_order():
    tiles = [
        np.full((TILE_ROWS, TILE_COLS, 3), k + 1, np.uint8)
        for k in range(ACROSS * DOWN + ACROSS + 1)
    ]
    pages = sheets(tiles)
    assert [p.shape[:2] for p in pages] == [
        (DOWN * TILE_ROWS, ACROSS * TILE_COLS),
        (2 * TILE_ROWS, ACROSS * TILE_COLS),
    ]
    firsts = [
        int(p[r, c, 0])
        for p in pages
        for r in range(0, p.shape[0], TILE_ROWS)
        for c in range(0, p.shape[1], TILE_COLS)
    ]
    assert [f for f in firsts if f] == list(range(1, len(tiles) + 1))
