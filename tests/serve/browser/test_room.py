"""The page with a cohort: same scale, heatmaps, regions, slider, AP link, marks, keys, access."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from exam_examples import image
from fourview.entities import (
    BreastPrediction,
    ExamPrediction,
    Finding,
    Heatmap,
    ImagePrediction,
    Region,
)
from fourview.evaluate.table import write_predictions
from fourview.geometry import Box, Geometry
from fourview.manifest.findings_file import read_findings
from fourview.manifest.manifest import make_manifest, manifest_hash, write_manifest
from fourview.report.exam_json import exam_to_json
from fourview.serve.app import Threads, routes_of
from fourview.serve.opening import What, open_extras
from fourview.sources.find import find_source
from room_examples import served, until

VIEWS = ("R-CC", "L-CC", "R-MLO", "L-MLO")


@pytest.fixture(scope="module")
def room_of(phantom, tmp_path_factory):
    """The phantoms with predictions of regions, and results with a heatmap of one cell."""
    folder = tmp_path_factory.mktemp("room")
    manifest = find_source("phantom")(phantom)
    write_manifest(manifest, folder / "manifest")
    rng = np.random.default_rng(2)
    rows = []
    for row in manifest.breasts.iter_rows(named=True):
        keys = {"patient_id": row["patient_id"], "exam_id": row["exam_id"], "side": row["side"]}
        rows.append(keys | {"unit": "breast", "score": float(rng.random())})
    for row in manifest.findings.iter_rows(named=True):
        keys = {"patient_id": row["patient_id"], "exam_id": row["exam_id"], "unit": "region"}
        for shift in (5.0, 400.0):
            box = {k: row[k] + (shift if k[0] == "x" else 0.0) for k in ("x0", "y0", "x1", "y1")}
            rows.append(keys | box | {"image_id": row["image_id"], "score": float(rng.random())})
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.lit("cancer").alias("class")
    )
    about = {"manifest_hash": manifest_hash(manifest)}
    write_predictions(table, folder / "scores.parquet", about)
    for number, exam in enumerate(manifest.exams.iter_rows(named=True)):
        write_result(folder / "results" / str(number), manifest, exam)
    extras = open_extras(
        What(
            manifest=folder / "manifest",
            predictions=[folder / "scores.parquet"],
            results=[folder / "results"],
            annotations=folder / "annotations.sqlite",
        ),
        cache_gb=0.25,
    )
    with served(routes_of(extras, Threads())) as url:
        yield extras, url


GRID, CELL = (9, 5), (6, 2)  # rows and columns of a heatmap; the cell that is 1


def heat_geometry(size):
    """Mirrored, cropped, turned and reduced: everything that a processed frame can be."""
    rows, cols = size
    return Geometry(size).mirrored().cropped(10, 30, cols - 30, rows - 50).resized(180, 100)


def write_result(folder, manifest, exam):
    images = []
    for row in manifest.images.filter(pl.col("exam_id") == exam["exam_id"]).iter_rows(named=True):
        view = replace(image("R-CC").view, side=row["side"], position=row["view"])
        values = np.zeros(GRID, dtype=np.float32)
        values[CELL] = 1.0
        heat = Heatmap(
            image_id=row["image_id"],
            class_name="cancer",
            values=values,
            geometry=heat_geometry((row["rows"], row["cols"])),
        )
        images.append(
            ImagePrediction(image_id=row["image_id"], view=view, score=None, heatmaps=(heat,))
        )
    right = next(i for i in images if i.view.name == "R-CC")
    region = Region(image_id=right.image_id, box=Box(100, 300, 180, 420))
    finding = Finding(finding_id="R-1", side="R", regions=(region,), score=0.7)
    prediction = ExamPrediction(
        patient_id=exam["patient_id"],
        exam_id=exam["exam_id"],
        breasts=(BreastPrediction(side="R", score=0.25, findings=(finding,)),),
        images=tuple(images),
        model="tiny",
        model_digest="",
        pixel_spec="",
    )
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(exam_to_json(prediction)))


@pytest.fixture
def opened(page, room_of):
    page.goto(f"{room_of[1]}&n=1")
    page.evaluate("room.ready")
    return page


def colours(page, view, x, y, width, height):
    script = "([v, x, y, w, h]) => room.view(v).readColour(x, y, w, h)"
    raw = base64.b64decode(page.evaluate(script, [view, x, y, width, height]))
    return np.frombuffer(raw, np.uint8).reshape(height, width, 4).astype(int)


def test_a_heatmaps_cell_lights_the_stored_box_that_geometry_says(opened):
    page = opened
    page.evaluate("room.state.choosePrediction(1)")
    until(page, "room.state.heatNames().length === 1")
    page.evaluate("() => { room.state.shown.all = false; room.state.setOpacity(1); }")
    for view in ("L-CC", "R-MLO"):
        facts = page.evaluate(
            "v => { const i = room.state.exam.images.find(i => i.name === v);"
            "room.state.wall.single = i; room.state.wall.hang(); return [i.rows, i.cols]; }",
            view,
        )
        geometry = heat_geometry(tuple(facts))
        high, wide = (p / g for p, g in zip(geometry.processed_size, GRID, strict=True))
        corners = np.array([[CELL[1] * wide, CELL[0] * high]]) + np.array([[0, 0], [wide, high]])
        (x0, y0), (x1, y1) = np.sort(geometry.to_stored(corners), axis=0)
        cell = x1 - x0, y1 - y0
        mirrored = page.evaluate("v => room.view(v).mirrored", view)
        left = facts[1] - x1 if mirrored else x0
        origin = [float(np.floor(left - cell[0])), float(np.floor(y0 - cell[1]))]
        page.evaluate("([v, o]) => room.view(v).place(o, 1)", [view, origin])
        size = int(3 * cell[0]) + 2, int(3 * cell[1]) + 2
        page.evaluate("room.state.wall.heatOn = true")
        on = colours(page, view, 0, 0, *size)
        page.evaluate("room.state.wall.heatOn = false")
        off = colours(page, view, 0, 0, *size)
        page.evaluate("room.state.wall.heatOn = true")
        lit = (on[..., :3] != off[..., :3]).any(axis=2)
        rows, cols = np.nonzero(lit)
        middle = origin[0] + (cols.min() + cols.max() + 1) / 2
        middle = facts[1] - middle if mirrored else middle
        assert abs(middle - (x0 + x1) / 2) <= cell[0] / 10
        assert abs(origin[1] + (rows.min() + rows.max() + 1) / 2 - (y0 + y1) / 2) <= cell[1] / 10
        # a value of 1 in its centre, of 0 in the centres beside: the light is two cells wide
        assert abs((cols.max() + 1 - cols.min()) - 2 * cell[0]) <= cell[0] / 10 + 2
        assert abs((rows.max() + 1 - rows.min()) - 2 * cell[1]) <= cell[1] / 10 + 2


def test_a_threshold_shows_what_the_cohorts_curve_says(opened, room_of):
    page, (extras, _) = opened, room_of
    page.evaluate("room.state.choosePrediction(0)")
    told = extras.curve_json(0)
    assert told["kind"] == "froc"
    for threshold in np.linspace(0.05, 0.95, 10):
        page.evaluate("t => room.state.setThreshold(t)", float(threshold))
        above = [i for i, cut in enumerate(told["cuts"]) if cut >= threshold]
        want = (told["y"][above[-1]], told["x"][above[-1]]) if above else (0.0, 0.0)
        words = page.text_content("#curve-words")
        assert [float(w) for w in re.findall(r"\d\.\d+", words)] == pytest.approx(want, abs=5e-4)
        shown = page.evaluate(
            "room.state.findings().filter(f => !f.truth).map(f => [f.score, f.outcome])"
        )
        assert all(score >= threshold for score, _ in shown)
        assert {outcome for _, outcome in shown} <= {"hit", "false", "ignored"}


def test_regions_stay_on_their_stored_pixels_at_any_zoom(opened):
    page = opened
    page.evaluate("room.state.choosePrediction(1)")
    for step in (0.5, 1.7, 3):
        page.evaluate("s => room.view('R-CC').place([20, 250], s)", step)
        page.evaluate("new Promise(requestAnimationFrame)")
        page.evaluate("new Promise(requestAnimationFrame)")  # it is drawn in the frame before
        points = page.get_attribute("polygon.region.model", "points").split()
        drawn = [tuple(map(float, p.split(","))) for p in points]
        want = page.evaluate(
            "[[100, 300], [180, 300], [180, 420], [100, 420]].map(room.view('R-CC').fromStored)"
        )
        ratio = page.evaluate("devicePixelRatio")
        assert np.allclose(np.array(drawn) * ratio, want, atol=0.02)
        assert page.evaluate(
            "getComputedStyle(document.querySelector('.region.model')).strokeWidth"
        )


def test_the_ap_line_lies_where_python_puts_it(opened, room_of):
    page, (extras, _) = opened, room_of
    key = page.evaluate("room.state.exam.key")
    axes = extras.axes_json(key)
    page.keyboard.press("l")
    until(page, "room.state.links.ap.axes.size === 1")
    for name in ("L-CC", "L-MLO"):
        facts = page.evaluate(
            """async n => { const s = room.state, i = s.exam.images.find(i => i.name === n);
               await s.links.ap.pick(s.exam, i, [300, 600]);
               return {key: i.key, cols: i.cols, links: s.links.ap.links}; }""",
            name,
        )
        own = axes[facts["key"]]
        if "reason" in own:
            assert own["reason"] in facts["links"][0]["text"]
            continue
        x = facts["cols"] - 300 if own["turned"] else 300
        t = np.radians(own["degrees"])
        away = np.array(own["nipple"]) - [x, 600]
        depth = float(away @ [np.cos(t), np.sin(t)] * own["spacing"])
        assert f"{depth:.0f} mm behind" in facts["links"][0]["text"]
        for link in facts["links"][1:]:
            other = axes[link["image"]]
            if "reason" in other:
                continue
            cols = page.evaluate(
                "k => room.state.exam.images.find(i => i.key === k).cols", link["image"]
            )
            a = np.radians(other["degrees"])
            for points, want in (
                (link["line"], {depth}),
                (link["strip"], {depth - 10, depth + 10}),
            ):
                for px, py in points:
                    ox = cols - px if other["turned"] else px
                    d = (np.array(other["nipple"]) - [ox, py]) @ [np.cos(a), np.sin(a)]
                    assert min(abs(d * other["spacing"] - w) for w in want) < 1e-3


def test_marks_are_drawn_moved_undone_and_exported(opened, room_of, tmp_path):
    page, (extras, _) = opened, room_of
    page.evaluate("room.state.wall.go(1)")
    box = page.locator("#stage").bounding_box()
    view = page.evaluate("room.view('L-CC').rect")
    start = [box["x"] + view[0] + 120, box["y"] + view[1] + 200]
    for shape, drag in (("box", (90, 70)), ("ellipse", (60, 100))):
        page.click(f"#mark-{shape}")
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(start[0] + drag[0], start[1] + drag[1], steps=3)
        page.mouse.up()
        start[1] += 150
    marks = page.evaluate("room.state.links.marks.marks")
    assert [m["shape"] for m in marks] == ["box", "ellipse"]
    want = page.evaluate("[[120, 200], [210, 270]].map(room.view('L-CC').toStored)")
    assert np.allclose(np.sort(np.array(marks[0]["points"]), axis=0), np.sort(want, axis=0))
    assert len(marks[1]["points"]) == 32
    page.mouse.move(box["x"] + view[0] + 165, box["y"] + view[1] + 235)  # inside the box
    page.mouse.down()
    page.mouse.move(box["x"] + view[0] + 185, box["y"] + view[1] + 235, steps=2)
    page.mouse.up()
    moved = page.evaluate("room.state.links.marks.marks[0].points[0][0]")
    assert moved != marks[0]["points"][0][0]
    page.click("#mark-undo")
    assert page.evaluate("room.state.links.marks.marks[0].points[0][0]") == marks[0]["points"][0][0]
    page.select_option(".mark-row select >> nth=1", "malignant")
    page.evaluate("room.state.links.marks.saved")
    path = tmp_path / "findings.csv"
    path.write_text(extras.annotations.csv())
    rows = read_findings(path)
    assert len(rows) == 2 and rows[0]["malignant"] == 1
    stored = rows[0]["region"].box
    assert (stored.x0, stored.y0) == pytest.approx(np.min(want, axis=0))
    page.reload()
    page.evaluate("room.ready")
    assert page.evaluate("room.state.links.marks.marks.length") == 2


def test_the_list_opens_filters_and_steps_through_exams(page, room_of):
    page.goto(room_of[1])
    page.evaluate("room.ready")
    errors = [float(t) for t in page.locator(".worklist td:nth-child(3)").all_inner_texts()]
    assert page.locator(".worklist tbody tr").count() == 3
    assert errors == sorted(errors, reverse=True)
    assert page.inner_text("th[aria-sort=descending]").startswith("error")
    page.locator(".worklist tbody tr").first.click()
    until(page, "document.body.dataset.screen === 'exam' && room.state.opened !== undefined")
    page.evaluate("room.state.opened")
    first = page.evaluate("room.state.exam.json.exam")
    page.keyboard.press("j")
    until(page, f"room.state.exam.json.exam !== '{first}'")
    page.keyboard.press("k")
    until(page, f"room.state.exam.json.exam === '{first}'")
    page.keyboard.press("Escape")
    until(page, "document.body.dataset.screen === 'list'")
    page.fill("#list-text", "no such exam")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.worklist tbody tr').length === 0")


def test_two_scales_side_by_side_show_a_bar_of_50_mm_equally_long(page, tmp_path):
    images = []
    for number, (spacing, view) in enumerate(((0.07, "R-CC"), (0.1, "L-CC"))):
        drawn = image(view, size=(1300, 900)).pixels
        length = round(50 / spacing)
        drawn[1000 : 1000 + 12, 20 : 20 + length] = 4095
        name = f"{number}.png"
        (tmp_path / name).write_bytes(png(drawn))
        keys = {"patient_id": "p", "exam_id": "e", "image_id": view, "path": name}
        images.append(keys | {"side": view[0], "view": "CC", "spacing_mm": spacing})
    manifest = make_manifest(
        source="bars", root=tmp_path, images=pl.DataFrame(images), terms="made up"
    )
    write_manifest(manifest, tmp_path / "manifest")
    what = What(manifest=tmp_path / "manifest", annotations=tmp_path / "a.sqlite")
    with served(routes_of(open_extras(what, cache_gb=0.1), Threads())) as url:
        page.goto(f"{url}&n=1")
        page.evaluate("room.ready")
        lengths = []
        for zoom in (1, 0.8, 0.5):
            page.evaluate("z => room.state.wall.zoom(z, room.state.wall.middle(), true)", zoom)
            for name in ("R-CC", "L-CC"):
                ends = page.evaluate(
                    """n => { const v = room.state.wall.views.find(v => v.image.name === n);
                       const s = v.image.spacing[0];
                       return [[20, 1005], [20 + 50 / s, 1005]].map(p => v.fromStored(p)[0]); }""",
                    name,
                )
                lengths.append(abs(ends[0] - ends[1]))
        for right, left in zip(lengths[::2], lengths[1::2], strict=True):
            assert abs(right - left) <= 1


def png(pixels):
    import imagecodecs  # noqa: PLC0415 (only here)

    return imagecodecs.png_encode(pixels.astype(np.uint16))


AXE = """() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0.5) return c; } return [12, 15, 18]; };
  const faults = [];
  for (const e of document.querySelectorAll('button, input, select, a[href]')) {
    if (!e.offsetParent) continue;
    const name = e.getAttribute('aria-label') || e.textContent.trim() || e.title
      || (e.labels && e.labels.length && e.labels[0].textContent.trim());
    if (!name) faults.push('no name: ' + e.outerHTML.slice(0, 80));
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.offsetParent || e.closest(':disabled')) continue;
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(ground(e))].sort();
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faults.push(ratio.toFixed(2) + ' ' + e.textContent.trim().slice(0, 40));
  }
  return faults;
}"""


def test_every_control_has_a_name_and_texts_a_contrast_of_4_5(page, room_of):
    page.goto(room_of[1])
    page.evaluate("room.ready")
    assert page.evaluate(AXE) == []
    page.locator(".worklist tbody tr").first.click()
    until(page, "document.body.dataset.screen === 'exam' && room.state.opened !== undefined")
    page.evaluate("room.state.opened")
    assert page.evaluate(AXE) == []


def test_a_server_that_is_gone_is_told_and_found_again(opened):
    page = opened
    page.route("**/api/**", lambda route: route.abort())
    page.evaluate("() => { room.state.gone = room.state.api.json('/api/session'); }")
    until(page, "document.getElementById('banner').textContent.includes('does not answer')")
    page.unroute("**/api/**")
    assert page.evaluate("room.state.gone.then(s => s.mode)") == "look"
    assert "does not answer" not in page.text_content("#banner")


def test_a_browser_without_webgl2_says_which_have_it(page, room_of):
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page.goto(room_of[1])
    until(page, "document.getElementById('banner').textContent.includes('no WebGL2')")
