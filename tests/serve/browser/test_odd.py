"""Input that is not as it should be, and what a browser may do to the page."""

import base64

import numpy as np
import pytest

from fourview.serve.app import Threads, routes_of
from fourview.serve.opening import What, open_extras
from room_examples import served, until
from study_examples import make_study


@pytest.fixture
def room(tmp_path):
    """Six exams of small pictures, of which the first has one that cannot be read."""
    make_study(tmp_path)
    (tmp_path / "pixels" / "FILE0LMLO.png").write_bytes(b"\x89PNG but no more")
    what = What(manifest=tmp_path / "manifest", annotations=tmp_path / "annotations.sqlite")
    with served(routes_of(open_extras(what, cache_gb=0.1), Threads())) as url:
        yield url


def opened(page, url, more="&n=1"):
    page.goto("about:blank")
    page.goto(url + more)
    page.evaluate("room.ready")
    page.evaluate("room.state.opened")


def greys(page, view):
    rect = page.evaluate("v => room.view(v).rect", view)
    script = "([v, w, h]) => room.view(v).readGrey(0, 0, w, h)"
    raw = base64.b64decode(page.evaluate(script, [view, rect[2], rect[3]]))
    return np.frombuffer(raw, np.uint8)


def test_an_image_that_cannot_be_read_leaves_its_place_with_the_reason(page, room):
    opened(page, room)
    assert "damaged" in page.inner_text(".view.empty")
    assert page.evaluate("room.state.wall.views.map(v => v.image.name)") == [
        "R-CC",
        "L-CC",
        "R-MLO",
    ]


def test_an_image_larger_than_the_screen_takes_is_reduced_and_says_so(page, room):
    page.add_init_script(
        """const get = WebGL2RenderingContext.prototype.getParameter;
           WebGL2RenderingContext.prototype.getParameter = function (what) {
             return what === this.MAX_TEXTURE_SIZE ? 60 : get.call(this, what); };"""
    )
    opened(page, room, "&n=2")
    assert "reduced: this screen takes at most 60 pixels" in page.inner_text(".caption >> nth=0")
    assert page.evaluate("[...room.state.exam.images[0].levels.keys()].sort()") == [1, 2, 3, 4]
    pace = page.evaluate("room.state.wall.views[0].pace")
    page.keyboard.press("d")  # 1:1 is off: there are no stored pixels here
    assert page.evaluate("room.state.wall.views[0].pace") == pace


def test_a_lost_context_comes_back_with_the_same_greys(page, room):
    opened(page, room, "&n=2")
    before = greys(page, "L-CC")
    assert before.max() > 0
    page.evaluate(
        """async () => { const { screen } = room.state.wall, canvas = screen.canvas;
           const lost = screen.gl.getExtension('WEBGL_lose_context');
           const done = new Promise(r => canvas.addEventListener('webglcontextrestored',
             () => setTimeout(r, 50)));
           lost.loseContext();
           setTimeout(() => lost.restoreContext(), 50);
           await done; }"""
    )
    assert np.array_equal(greys(page, "L-CC"), before)


def test_zoom_and_movement_are_linked_and_mirrored_for_the_other_breast(page, room):
    opened(page, room, "&n=2")
    rects = {v: page.evaluate("v => room.view(v).rect", v) for v in ("R-CC", "L-CC")}
    box = page.locator("#stage").bounding_box()
    x, y = rects["L-CC"][0] + 100, rects["L-CC"][1] + 80  # CSS pixels may lie between
    script = "([v, q]) => room.view(v).toStored(q)"
    mirrored = [rects["R-CC"][2] - 100, 80]
    before = {
        "L-CC": page.evaluate(script, ["L-CC", [100, 80]]),
        "R-CC": page.evaluate(script, ["R-CC", mirrored]),
    }
    page.mouse.move(box["x"] + x, box["y"] + y)
    scale = page.evaluate("room.state.wall.views[0].scale")
    page.mouse.wheel(0, -300)
    until(page, f"room.state.wall.views[0].scale !== {scale}")
    assert page.evaluate(script, ["L-CC", [100, 80]]) == pytest.approx(before["L-CC"], abs=0.05)
    assert page.evaluate(script, ["R-CC", mirrored]) == pytest.approx(before["R-CC"], abs=0.05)
    paces = page.evaluate("room.state.wall.views.map(v => v.pace[0])")
    assert len(set(np.round(paces, 9))) == 1
    page.mouse.down()
    page.mouse.move(box["x"] + x + 40, box["y"] + y + 10, steps=2)
    page.mouse.up()
    assert page.evaluate(script, ["L-CC", [140, 90]]) == pytest.approx(before["L-CC"], abs=0.05)
    moved = [mirrored[0] - 40, 90]  # towards the other wall
    assert page.evaluate(script, ["R-CC", moved]) == pytest.approx(before["R-CC"], abs=0.05)


def test_the_magnifier_shows_the_same_place_twice_as_large(page, room):
    opened(page, room, "&n=2")
    rect = page.evaluate("room.view('L-CC').rect")
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + rect[0] + 90, box["y"] + rect[1] + 120)
    page.keyboard.down("m")
    greys = page.evaluate(
        """() => { const { lensView } = room.state.wall, v = room.view('L-CC');
           const half = lensView.rect[2] / 2;
           return [lensView.toStored([half, half]), v.toStored([90, 120]),
                   lensView.pace[0] * 2, room.state.wall.views[1].pace[0]]; }"""
    )
    assert greys[0] == pytest.approx(greys[1], abs=1) and greys[2] == pytest.approx(greys[3])
    page.keyboard.up("m")
    assert page.evaluate("room.state.wall.lensView") is None


def test_a_dragged_window_of_a_file_without_one_is_the_straight_line(page, room):
    opened(page, room, "&n=2")
    page.evaluate("room.state.wall.setWindow({scale: 0.5, shift: 0.1, inverted: false})")
    facts = page.evaluate(
        """() => { const i = room.state.wall.views[1].image;
           return [i.low, i.count, i.window.center, i.window.width,
             room.toBase64(room.windows.changedTable(i, room.state.viewer.images.change))]; }"""
    )
    low, count, center, width, text = facts
    table = np.frombuffer(base64.b64decode(text), np.uint8)[:count]
    values = low + np.arange(count)
    y = np.clip((values - (center + 0.1 * width)) / (0.5 * width) + 0.5, 0, 1)
    want = np.rint(np.rint(65535 * y).astype(np.float32) * np.float32(255 / 65535))
    assert np.array_equal(table, want.astype(np.uint8))
    page.keyboard.press("r")
    assert page.evaluate("room.state.viewer.images.change.scale") == 1


def test_a_permalink_opens_exam_step_and_zoom_again(page, room):
    opened(page, room, "&n=3")
    page.keyboard.press("3")
    page.evaluate("room.state.wall.zoom(0.4, room.state.wall.middle(), true)")
    until(page, "!room.state.wall.moving && /zoom=/.test(location.hash)")
    link = page.evaluate("location.href")
    scale = page.evaluate("room.state.wall.views[0].scale")
    page.goto("about:blank")
    page.goto(link)
    page.evaluate("room.ready")
    assert page.evaluate("room.state.ordinal") == 3
    assert page.evaluate("room.state.wall.steps[room.state.wall.step].name") == "MLO"
    assert page.evaluate("room.state.wall.views[0].scale") == pytest.approx(scale, rel=1e-2)
