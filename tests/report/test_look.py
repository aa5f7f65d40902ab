"""The page of what models see, and the page of a manifest, as their tiles and numbers say."""

import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest

import fourview
from fourview.cli.main import main
from fourview.geometry import Box
from fourview.report.look import LookOptions, small, write_look
from fourview.store.store import Store


class Tiles(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tiles, self.words = [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if attributes.get("class") == "tile":
            self.tiles.append({**attributes, "boxes": []})
        if tag == "rect":
            self.tiles[-1]["boxes"].append(attributes)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("look")
    fourview.write_phantom(root / "phantom", num_exams=3, seed=5, preset="miniature", rows=256)
    manifest = fourview.index(root / "phantom", "phantom")
    fourview.write_manifest(manifest, root / "manifest")
    fourview.prepare(manifest, "mvccl-192x96", root / "store")
    scores = [
        {"unit": "image", **row, "score": 0.05 * number, "class": "cancer"}
        for number, row in enumerate(
            manifest.images.select("patient_id", "exam_id", "side", "image_id").to_dicts()
        )
    ]
    fourview.write_predictions(
        pl.DataFrame(scores), root / "scores.parquet", {"recipe": "m:r", "caution": "Beware."}
    )
    return root


def run(*args):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in args])
    return int(end.value.code or 0)


def page_of(path):
    return Tiles(path.read_text(encoding="utf-8"))


def test_a_store_with_labels_scores_and_regions(made, tmp_path):
    out = tmp_path / "page.html"
    args = ("look", made / "scores.parquet", "--manifest", made / "manifest")
    assert run(*args, "--store", made / "store", "-o", out, "--num", "0") == 0
    page = page_of(out)
    manifest = fourview.open_manifest(made / "manifest")
    cancer = {(r["exam_id"], r["side"]): r["cancer"] for r in manifest.breasts.to_dicts()}
    rows = manifest.images.to_dicts()
    every = page.tiles[-12:]
    for number, (row, tile) in enumerate(zip(rows, every, strict=True)):
        label = cancer[row["exam_id"], row["side"]]
        assert tile["data-label"] == str(label)
        assert float(tile["data-score"]) == pytest.approx(0.05 * number)
        assert float(tile["data-error"]) == pytest.approx(abs(label - 0.05 * number))
        own = manifest.findings.filter(
            (pl.col("image_id") == row["image_id"]) & pl.col("x0").is_not_null()
        )
        assert len(tile["boxes"]) == len(own)
    assert "Beware. Model m:r." in page.text
    worst = [float(t["data-score"]) for t in page.tiles[:-12]]
    num_without = sum(1 for t in every if t["data-label"] == "0")
    assert worst[:num_without] == sorted(worst[:num_without], reverse=True)
    assert worst[num_without:] == sorted(worst[num_without:])


def test_a_box_lies_on_the_tile_where_the_geometry_puts_it(made):
    store = Store.open(made / "store")
    manifest = fourview.open_manifest(made / "manifest")
    row = manifest.findings.drop_nulls(["image_id", "x0"]).to_dicts()[0]
    geometry = store.geometry(row["image_id"])
    seen = small(store.read(row["image_id"]), geometry, ())
    box = Box(row["x0"], row["y0"], row["x1"], row["y1"])
    scale = seen.size[0] / 192
    want = geometry.box_to_processed(box)
    got = seen.geometry.box_to_processed(box)
    for side in ("x0", "y0", "x1", "y1"):
        assert getattr(got, side) == pytest.approx(scale * getattr(want, side), abs=1e-6)
    points = [tuple(map(float, p.split(","))) for p in seen.outline.split()]
    assert max(x for x, _ in points) <= seen.size[1]
    assert min(x for x, _ in points) < 2  # the chest wall is at the left


def test_a_manifest_alone_is_read_and_a_bad_file_has_a_tile(made, tmp_path):
    manifest = fourview.open_manifest(made / "manifest")
    copy = tmp_path / "copy"
    copy.mkdir()
    for row in manifest.images.head(2).iter_rows(named=True):
        target = copy / row["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((made / "phantom" / row["path"]).read_bytes())
    bad = copy / manifest.images["path"][1]
    bad.write_bytes(b"nothing")
    ids = manifest.images["image_id"].head(2)
    two = fourview.make_manifest(
        source="two",
        root=copy,
        images=manifest.images.filter(pl.col("image_id").is_in(ids.implode())),
        breasts=manifest.breasts.filter(pl.col("exam_id") == manifest.images["exam_id"][0]),
        terms="",
    )
    fourview.write_manifest(two, tmp_path / "two")
    out = tmp_path / "page.html"
    assert run("look", tmp_path / "two", "-o", out, "--spec", "mvccl-192x96", "--workers", "1") == 0
    text = out.read_text(encoding="utf-8")
    assert len(page_of(out).tiles) == 2
    assert text.count("data:image/jpeg") == 1
    assert text.count('class="picture none"') == 1


def test_a_store_without_a_manifest_and_hits_of_a_search(made, tmp_path):
    out = tmp_path / "page.html"
    assert run("look", made / "store", "-o", out, "--num", "5") == 0
    assert len(page_of(out).tiles) == 5
    ids = fourview.open_manifest(made / "manifest").images["image_id"]
    hits = pl.DataFrame({"rank": [1, 2], "image_id": [ids[7], ids[3]], "cosine": [0.5, 0.25]})
    hits.write_csv(tmp_path / "hits.csv")
    assert run("look", tmp_path / "hits.csv", "--store", made / "store", "-o", out) == 0
    page = page_of(out)
    assert [t["data-rank"] for t in page.tiles] == ["1", "2"]
    assert ids[7] in page.tiles[0]["data-text"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("scores.parquet",), "add --manifest"),
        (("phantom",), "neither a manifest nor a store"),
        (("manifest", "--split", "test"), "no image to show"),
    ],
)
def test_what_cannot_be_shown_is_said(made, tmp_path, capsys, args, words):
    args = (made / args[0], *args[1:])
    assert run("look", *args, "-o", tmp_path / "page.html") == 3
    assert words in capsys.readouterr().err


def test_few_images_are_spread_and_the_worst_are_always_there(made, tmp_path):
    scores, _ = fourview.read_predictions(made / "scores.parquet")
    shown = write_look(
        tmp_path / "page.html",
        manifest=fourview.open_manifest(made / "manifest"),
        store=Store.open(made / "store"),
        predictions=scores,
        options=LookOptions(num=2),
    )
    assert shown == 12  # fewer than the worst of both kinds


def test_the_page_of_a_manifest_counts_what_its_tables_hold(made, tmp_path, capsys):
    out = tmp_path / "stats.html"
    assert run("check", made / "manifest", "--page", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    text = Tiles(out.read_text(encoding="utf-8")).text
    manifest = fourview.open_manifest(made / "manifest")
    for vendor, number in manifest.images["vendor"].value_counts().iter_rows():
        assert re.search(rf"\b{vendor} {number}\b", text)
    assert "256 x 128 12" in text
    for words in ("Age of the patient", "Density, by breast", "Pixel spacing", "Images per exam"):
        assert words in text
    assert run("check", made / "store", "--page", out) == 3
