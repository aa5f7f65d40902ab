"""Measures of experiments/vlp.toml: where sentences and slices land, and what a second view adds.

Each function reads a finished run and gives a table with a row a unit, the same units in the same
order for every run. Columns that end in ``chance`` are what a place drawn evenly would reach.
"""

from collections.abc import Callable
from typing import Any

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


def sentence_hits(run: Run, *, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """Whether the token most like a sentence holds a pixel of a finding's mask, of those inside.

    A row an image with a malignant finding that can be seen. The columns are by what the map is:
    ``own`` the impression sentence by the local heads (without them, as the next); ``caption`` the
    whole caption by the global heads; ``contrast`` that less the caption of BI-RADS 1; ``probe``
    a linear probe of the tokens that was shown masks. ``beside``: ``own``'s token holds none but
    lies within reach of what a token sees of the mask. ``stranger``: ``own`` on the mask of the
    next patient's image of the same view.
    """
    return _remembered(sentence_table, run, manifest, store, part)


def sentence_table(seen: Seen) -> pl.DataFrame:
    """``sentence_hits`` of an opened run."""
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
    chances = {"chance": on, "beside_chance": near, "stranger_chance": other}
    columns |= {name: _share(grid, inside) for name, grid in chances.items()}
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
    the row of the next patient's finding.
    """
    return _remembered(row_table, run, manifest, store, part)


def row_table(seen: Seen) -> pl.DataFrame:
    """``row_hits`` of an opened run."""
    cc, mlo = _in_both_views(seen.findings())
    images = [table["image_id"].to_list() for table in (cc, mlo)]
    patients = cc["patient_id"].to_list()
    masks = [in_cells(seen.covered(table), CELLS) for table in (cc, mlo)]
    filled = [_filled(seen, each) for each in images]
    tokens = [seen.tokens(each) for each in images]
    means = [normalize(mean_cells(each, CELLS), dim=-1).numpy() for each in tokens]
    lit = mean_cells(torch.from_numpy(seen.probe_maps(images[1])[..., None]), CELLS)[..., 0].numpy()
    next_one = strangers(patients, ["any"] * len(patients))
    attends = seen.model.has_slice_maps
    own = seen.attention(*tokens) if attends else None
    asked_by_next = seen.attention(tokens[0][next_one], tokens[1]) if attends else None
    rows = []
    truth = [_place(mask) for mask in masks[1]]
    asking = [_place(mask) for mask in masks[0]]
    for i, (row, column) in enumerate(truth):
        there = filled[1][i][:, column] >= FILLED
        there[row] = True
        others = _elsewhere(masks[0][i], filled[0][i], asking[i][1])
        stranger = asking[next_one[i]]
        values = {
            "cosine": means[1][i, :, column] @ means[0][i][asking[i]],
            "probe": lit[i][:, column],
        }
        values["own"] = values["cosine"] if own is None else own[i][asking[i]][column]
        strange = means[1][i, :, column] @ means[0][next_one[i]][stranger]
        away = {"cosine": [means[1][i, :, column] @ means[0][i][cell] for cell in others]}
        away["own"] = away["cosine"] if own is None else [own[i][c][column] for c in others]
        values["cosine_stranger"] = strange
        values["own_stranger"] = (
            strange if asked_by_next is None else asked_by_next[i][stranger][column]
        )
        picked = {name: _row(value, there) for name, value in values.items()}
        found: dict[str, Any] = {"patient_id": patients[i]}
        found |= {name: float(p == row) for name, p in picked.items()}
        found |= {f"{n}_near": float(abs(picked[n] - row) <= 1) for n in ("own", "cosine")}
        for name, each in away.items():
            found[f"{name}_elsewhere"] = float(np.mean([_row(v, there) == row for v in each]))
        moved = truth[next_one[i]][0]
        found["moved"] = float(picked["own"] == moved)
        found["chance"] = 1 / there.sum()
        found["near_chance"] = there[max(row - 1, 0) : row + 2].sum() / there.sum()
        found["moved_chance"] = there[moved] / there.sum()
        rows.append(found)
    return pl.DataFrame(rows)


def two_views(run: Run, *, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """Scores of images and of breasts, the mean over their two views.

    A row an image of a breast that has CC and MLO. ``single``: the probability of the caption of
    BI-RADS 5 against that of 1; ``mean``: over the breast's two views; ``stranger``: over the
    image and the other view of the next patient's breast of the same side. ``seen``: 1 where the
    truth has a finding that this view shows, ``seen_mean`` its mean over the views: what a perfect
    reader of single views would reach. ``known``: 1 for a breast with a cancer.
    """
    return _remembered(view_table, run, manifest, store, part)


def view_table(seen: Seen) -> pl.DataFrame:
    """``two_views`` of an opened run."""
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


def _remembered(
    make: Callable[[Seen], pl.DataFrame],
    run: Run,
    manifest: Manifest,
    store: Store,
    part: str | None,
) -> pl.DataFrame:
    """A table of a run; several measures in a row read it, each a column."""
    key = str(run.folder), str(manifest.root), str(store.path), part
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = Seen(run, manifest, store, part), {}
    seen, tables = _KEPT[key]
    if make.__name__ not in tables:
        tables[make.__name__] = make(seen)
    return tables[make.__name__]


_KEPT: dict[Any, tuple[Seen, dict[str, pl.DataFrame]]] = {}  # of the run that was read last


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


def _place(mask: np.ndarray) -> tuple[int, int]:
    """Row and column of the cell with most of a mask: the column first, then the row in it."""
    column = int(mask.sum(axis=0).argmax())
    return int(mask[:, column].argmax()), column


def _elsewhere(mask: np.ndarray, filled: np.ndarray, column: int) -> list[tuple[int, int]]:
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


def _share(grids: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The part of the places inside that are on."""
    return (grids & inside).sum(axis=(1, 2)) / inside.sum(axis=(1, 2))


def _dilated(grid: Bool[np.ndarray, "row col"], by: int) -> Bool[np.ndarray, "row col"]:
    """Places at most so many rows and columns from one that is on."""
    padded = np.pad(grid, by)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, (2 * by + 1, 2 * by + 1))
    return blocks.any(axis=(2, 3))
