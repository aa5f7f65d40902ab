"""Measures of experiments/vlp.toml: where sentences and slices land, and what a second view adds.

Each function reads a finished run and gives a table with a row a unit, the same units in the same
order for every run. Columns that end in ``chance`` are what a place drawn evenly would reach,
those in ``overlap`` what the finding itself would.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float
from torch.nn.functional import normalize

from experiments.vlp_seen import Run, Seen, in_cells, mean_cells, strangers
from fourview.entities import Manifest
from fourview.store.store import Store

CELLS = (12, 6)  # of 16 pixels, 19 mm: the super-patches of glam:phantom_findings
REACH = 3  # tokens: what the tower's last layer sees to each side, 23 of 24 pixels
FILLED, QUERIED = 0.1, 0.5  # parts of a cell that are breast: to be found, to be asked for
Cell = tuple[int, int]


def sentence_hits(run: Run, *, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """Whether the token most like a sentence holds a pixel of a finding's mask, of those inside.

    A row an image with a malignant finding that can be seen. The columns are by what the map is:
    ``own`` the impression sentence by the local heads (without them, as the next); ``caption`` the
    whole caption by the global heads; ``contrast`` that less the caption of BI-RADS 1; ``probe``
    a linear probe of the tokens that was shown masks. ``beside``: ``own``'s token holds none but
    lies within reach of what a token sees of the mask; ``contrast_beside`` likewise.
    ``stranger``: ``own`` on the mask of the next patient's image of the same view;
    ``stranger_overlap``: a token drawn in the own mask.
    """
    seen = Seen(run, manifest, store, part)
    findings = seen.findings()
    images = findings["image_id"].to_list()
    inside, on = seen.inside(images), seen.covered(findings) > 0
    other = on[strangers(findings["patient_id"].to_list(), findings["view"].to_list())]
    near = np.stack([_dilated(each, REACH) for each in on]) & ~on
    maps = {
        "own": seen.own_maps(images),
        "caption": seen.caption_maps(images),
        "contrast": seen.caption_maps(images, less_negative=True),
        "probe": seen.probe_maps(images),
    }
    best = {name: _best(values, inside) for name, values in maps.items()}
    columns = {name: _at(on, place) for name, place in best.items()}
    columns |= {"beside": _at(near, best["own"]), "stranger": _at(other, best["own"])}
    columns["contrast_beside"] = _at(near, best["contrast"])
    columns |= {"chance": _share(on, inside), "beside_chance": _share(near, inside)}
    columns["stranger_overlap"] = _share(other, on)
    return pl.DataFrame({"patient_id": findings["patient_id"]} | columns)


def row_hits(run: Run, *, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """Whether a CC patch picks the finding's row within the finding's own column of the MLO.

    A row a malignant finding that both views show. The column is given: the one with most of the
    mask; its row is the one with most of the mask there; rows without tissue cannot be picked.
    Asked by the CC cell with most of the mask. ``own`` picks by the attention of GLAM's local
    alignment (without one, as the next), ``cosine`` by the cosine of mean tokens, ``probe`` by a
    linear probe that was shown masks, whatever is asked. ``..._near`` counts the rows next to it.
    ``..._elsewhere``: asked by cells of the same CC column without the finding, the mean over
    them. ``..._stranger``: asked by the finding of the next patient. ``moved``: ``own`` counted at
    the row of the next patient's finding; ``moved_overlap``: the own row counted there.
    """
    seen = Seen(run, manifest, store, part)
    cc, mlo = _in_both_views(seen.findings())
    patients = cc["patient_id"].to_list()
    asked = _asked(seen, cc, mlo, strangers(patients, ["any"] * len(patients)))
    return pl.DataFrame(
        [{"patient_id": patient} | _picks(asked, i) for i, patient in enumerate(patients)]
    )


Ask = Callable[[int, int, Cell], Float[np.ndarray, " row"]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Two views of findings in cells, and the ways to pick a row.

    Attributes:
        masks: Stored pixels of each finding in each cell, of CC and of MLO.
        filled: The part of each cell that is breast, likewise.
        next_one: Of each finding, the next of another patient.
        ways: By name: how well the rows of a finding's MLO column answer a cell of the CC of that
            or of the next patient.
        lit: The probe's value of each MLO cell.
    """

    masks: tuple[np.ndarray, np.ndarray]
    filled: tuple[np.ndarray, np.ndarray]
    next_one: list[int]
    ways: Mapping[str, Ask]
    lit: np.ndarray


def _asked(seen: Seen, cc: pl.DataFrame, mlo: pl.DataFrame, next_one: list[int]) -> _Asked:
    images = [table["image_id"].to_list() for table in (cc, mlo)]
    masks = in_cells(seen.covered(cc), CELLS), in_cells(seen.covered(mlo), CELLS)
    tokens = [seen.tokens(each) for each in images]
    means = [normalize(mean_cells(each, CELLS), dim=-1).numpy() for each in tokens]
    lit = mean_cells(torch.from_numpy(seen.probe_maps(images[1])[..., None]), CELLS)[..., 0]

    def cosine(i: int, asker: int, cell: Cell) -> Float[np.ndarray, " row"]:
        rows: np.ndarray = means[1][i][:, _place(masks[1][i])[1]] @ means[0][asker][cell]
        return rows

    ways = {"cosine": cosine, "own": cosine}
    if seen.model.has_slice_maps:
        own = seen.attention(*tokens)
        of_next = seen.attention(tokens[0][next_one], tokens[1])

        def attention(i: int, asker: int, cell: Cell) -> Float[np.ndarray, " row"]:
            weights: np.ndarray = (own if asker == i else of_next)[i][cell]
            return weights[_place(masks[1][i])[1]]

        ways["own"] = attention
    filled = _filled(seen, images[0]), _filled(seen, images[1])
    return _Asked(masks=masks, filled=filled, next_one=next_one, ways=ways, lit=lit.numpy())


def _picks(asked: _Asked, i: int) -> dict[str, float]:
    """Which rows are picked for a finding, counted at its own and at the next one's."""
    row, column = _place(asked.masks[1][i])
    asking, following = _place(asked.masks[0][i]), asked.next_one[i]
    there = asked.filled[1][i][:, column] >= FILLED
    there[row] = True
    others = _elsewhere(asked.masks[0][i], asked.filled[0][i], asking[1])
    found = {"probe": float(_row(asked.lit[i][:, column], there) == row)}
    for name, way in asked.ways.items():
        picked = _row(way(i, i, asking), there)
        found[name] = float(picked == row)
        found[f"{name}_near"] = float(abs(picked - row) <= 1)
        found[f"{name}_elsewhere"] = float(
            np.mean([_row(way(i, i, cell), there) == row for cell in others])
        )
        by_next = way(i, following, _place(asked.masks[0][following]))
        found[f"{name}_stranger"] = float(_row(by_next, there) == row)
    moved = _place(asked.masks[1][following])[0]
    found["moved"] = float(_row(asked.ways["own"](i, i, asking), there) == moved)
    found["chance"] = float(1 / there.sum())
    found["near_chance"] = float(there[max(row - 1, 0) : row + 2].sum() / there.sum())
    found["moved_overlap"] = float(row == moved)
    return found


def two_views(run: Run, *, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """Scores of images and of breasts, the mean over their two views.

    A row an image of a breast that has CC and MLO. ``single``: the probability of the caption of
    BI-RADS 5 against that of 1; ``mean``: over the breast's two views; ``stranger``: over the
    image and the other view of the next patient's breast of the same side. ``seen``: 1 where the
    truth has a finding that this view shows, ``seen_mean`` its mean over the views: what a perfect
    reader of single views would reach. ``known``: 1 for a breast with a cancer.
    """
    seen = Seen(run, manifest, store, part)
    keys = ["patient_id", "exam_id", "side"]
    both = pl.col("view").n_unique().over(keys) == 2
    table = seen.images().filter(pl.col("view").is_in(["CC", "MLO"])).filter(both)
    table = table.unique([*keys, "view"], keep="first", maintain_order=True).sort(*keys, "view")
    shown = set(seen.findings()["image_id"])
    single = seen.malignancy(table["image_id"].to_list()).reshape(-1, 2)
    visible = np.array([float(i in shown) for i in table["image_id"]]).reshape(-1, 2)
    patients, sides = table["patient_id"].to_list()[::2], table["side"].to_list()[::2]
    other = single[strangers(patients, sides)]
    return pl.DataFrame(
        {
            "patient_id": table["patient_id"],
            "single": single.ravel(),
            "mean": np.repeat(single.mean(axis=1), 2),
            "stranger": ((single + other[:, ::-1]) / 2).ravel(),
            "seen": visible.ravel(),
            "seen_mean": np.repeat(visible.mean(axis=1), 2),
            "known": table["cancer"].cast(pl.Int8),
        }
    )


def _in_both_views(findings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """CC and MLO of each finding, in one order."""
    keys = ["patient_id", "side", "finding_id"]
    once = findings.unique([*keys, "view"], keep="first", maintain_order=True)
    paired = once.filter(pl.col("view").n_unique().over(keys) == 2).sort(*keys)
    return paired.filter(pl.col("view") == "CC"), paired.filter(pl.col("view") == "MLO")


def _filled(seen: Seen, images: list[str]) -> Float[np.ndarray, "image row col"]:
    """The part of each cell whose tokens lie in the breast."""
    inside = seen.inside(images).astype(np.int64)
    return in_cells(inside, CELLS) / (inside[0].size / (CELLS[0] * CELLS[1]))


def _place(mask: np.ndarray) -> Cell:
    """Row and column of the cell with most of a mask: the column first, then the row in it."""
    column = int(mask.sum(axis=0).argmax())
    return int(mask[:, column].argmax()), column


def _elsewhere(mask: np.ndarray, filled: np.ndarray, column: int) -> list[Cell]:
    """Cells of a column that are breast and hold nothing of a mask; of all, if it has none."""
    free = (mask == 0) & (filled >= QUERIED)
    places = [(int(r), int(c)) for r, c in np.argwhere(free)]
    return [p for p in places if p[1] == column] or places


def _row(values: np.ndarray, there: Bool[np.ndarray, " row"]) -> int:
    return int(np.where(there, values, -np.inf).argmax())


def _best(maps: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Of each image, the place of the highest value inside the breast."""
    return np.where(inside, maps, -np.inf).reshape(len(maps), -1).argmax(axis=1)


def _at(grids: np.ndarray, places: np.ndarray) -> np.ndarray:
    return grids.reshape(len(grids), -1)[np.arange(len(grids)), places].astype(float)


def _share(grids: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The part of some places that are on."""
    return (grids & of).sum(axis=(1, 2)) / of.sum(axis=(1, 2))


def _dilated(grid: Bool[np.ndarray, "row col"], by: int) -> Bool[np.ndarray, "row col"]:
    """Places at most so many rows and columns from one that is on."""
    padded = np.pad(grid, by)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, (2 * by + 1, 2 * by + 1))
    return blocks.any(axis=(2, 3))
