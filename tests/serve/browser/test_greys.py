"""The canvas against Python: every grey level, every table, every place."""

import base64

import numpy as np
import pytest

from fourview.dicom.image import read_image
from fourview.entities import Voi
from fourview.preprocess.window import to_levels
from fourview.report.display import decide, greys
from fourview.serve.app import Threads, routes_of
from fourview.serve.opening import What, open_extras
from fourview.serve.tables import Scale, grey_table, halved
from room_examples import served

VIEWS = ("R-CC", "L-CC", "R-MLO", "L-MLO")


@pytest.fixture(scope="module")
def url(phantom):
    room = open_extras(What(exams=[phantom / "dicom"]), cache_gb=0.25)
    with served(routes_of(room, Threads())) as url:
        yield url


@pytest.fixture
def room(page, url):
    def opened(number=1):
        page.goto("about:blank")
        page.goto(f"{url}&n={number}")
        page.evaluate("room.ready")
        return page

    return opened


def read_grey(page, view, x, y, width, height):
    text = page.evaluate(
        "([v, x, y, w, h]) => room.view(v).readGrey(x, y, w, h)", [view, x, y, width, height]
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width)


def place(page, view, origin, step):
    page.evaluate("([v, o, s]) => room.view(v).place(o, s)", [view, origin, step])


def expected(image):
    """The greys of the displayed frame, by `preprocess.window` alone."""
    hung = decide(image)
    shown = greys(to_levels(image.pixels, hung.display, invert=not image.bright_is_dense))
    return (shown[:, ::-1] if hung.is_mirrored(image) else shown), hung


@pytest.mark.parametrize("number", [1, 2, 3])
def test_greys_equal_those_of_python_at_1_to_1_and_at_a_quarter(room, phantom, number):
    page = room(number)
    patient = page.evaluate("room.state.exam.json.patient")
    functions = set()
    for view in VIEWS:
        image = read_image(phantom / "dicom" / patient / f"{view}.dcm")
        want, hung = expected(image)
        functions.add(hung.display.function)
        page.evaluate(
            "v => { const w = room.state.wall; w.single = room.state.exam.images.find("
            "i => i.name === v); w.hang(); }",
            view,
        )
        rows, cols = want.shape
        for x, y in ((0, 0), (max(0, cols - 800), rows - 600), (37, 211)):
            place(page, view, [x, y], 1)
            got = read_grey(page, view, 0, 0, 800, 600)
            cut = want[y : y + 600, x : x + 800]
            assert np.array_equal(got[:, : cut.shape[1]], cut)
        place(page, view, [0, 0], 4)
        index = halved(image.pixels if not hung.is_mirrored(image) else image.pixels[:, ::-1], 2)
        small = greys(to_levels(index, hung.display, invert=not image.bright_is_dense))
        inside = small[: rows // 4, : cols // 4]
        got = read_grey(page, view, 0, 0, inside.shape[1], inside.shape[0])
        assert np.array_equal(got, inside)
    assert len(functions) == 1


@pytest.mark.parametrize("step", [1, 4])
def test_a_mirrored_view_shows_the_flipped_pixels(room, phantom, step):
    page = room(2)
    patient = page.evaluate("room.state.exam.json.patient")
    want, hung = expected(read_image(phantom / "dicom" / patient / "L-CC.dcm"))
    assert not hung.is_mirrored(read_image(phantom / "dicom" / patient / "L-CC.dcm"))
    page.evaluate("room.state.wall.views.find(v => v.image.name === 'L-CC').image.mirrored = true")
    place(page, "L-CC", [0, 0], step)
    if step == 4:
        image = read_image(phantom / "dicom" / patient / "L-CC.dcm")
        index = halved(image.pixels[:, ::-1], 2)
        flipped = greys(to_levels(index, hung.display, invert=not image.bright_is_dense))
    else:
        flipped = want[:, ::-1]
    flipped = flipped[:250, :140]
    got = read_grey(page, "L-CC", 0, 0, flipped.shape[1], flipped.shape[0])
    assert np.array_equal(got, flipped)


@pytest.mark.parametrize("step", [1.37, 2.5, 7.25])
def test_a_reduced_view_is_the_mean_over_a_square_of_stored_pixels(room, phantom, step):
    page = room(1)
    patient = page.evaluate("room.state.exam.json.patient")
    image = read_image(phantom / "dicom" / patient / "L-MLO.dcm")
    hung = decide(image)
    place(page, "L-MLO", [10.25, 20.5], step)
    got = read_grey(page, "L-MLO", 0, 0, 60, 50)
    values = image.pixels.astype(np.float64)
    want = np.zeros(got.shape, dtype=np.uint16)
    for row in range(50):
        for col in range(60):
            y, x = 20.5 + step * (row + 0.5), 10.25 + step * (col + 0.5)
            tall, wide = (overlap(c, step, n) for c, n in zip((y, x), values.shape, strict=True))
            want[row, col] = np.floor(tall @ values @ wide / (tall.sum() * wide.sum()) + 0.5)
    off = greys(to_levels(want, hung.display, invert=False)).astype(int) - got
    assert np.abs(off).max() <= 1  # float32 on the card, where a mean lies between two values
    assert (off != 0).mean() < 0.01


def overlap(centre, side, number):
    """How much of each pixel along an axis lies in [centre - side / 2, centre + side / 2]."""
    edges = np.arange(number)
    high = np.minimum(edges + 1, centre + side / 2)
    return np.clip(high - np.maximum(edges, centre - side / 2), 0, None)


def test_the_levels_made_on_the_card_equal_block_means(room, phantom):
    page = room(1)
    patient = page.evaluate("room.state.exam.json.patient")
    image = read_image(phantom / "dicom" / patient / "R-CC.dcm")
    hung = decide(image)
    place(page, "R-CC", [0, 0], 8)
    page.evaluate("room.state.wall.screen.coarse = 1")
    page.evaluate("room.draw(true)")  # while moving smaller levels are read
    rows, cols = (side // 8 for side in image.pixels.shape)
    script = """([v, w, h]) => { const {rect} = room.view(v), s = room.state.wall.screen;
        return room.toBase64(s.read(rect[0], rect[1], w, h).filter((_, i) => i % 4 === 0)); }"""
    text = page.evaluate(script, ["R-CC", cols, rows])
    got = np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, cols)
    small = halved(halved(image.pixels, 2), 1)
    want = greys(to_levels(small, hung.display, invert=not image.bright_is_dense))
    assert np.array_equal(got, want[:rows, :cols])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_of_the_browser_equal_those_of_python(room, function):
    page = room(1)
    rng = np.random.default_rng(3)
    for number in range(100):
        low = int(rng.integers(-2000, 100))
        count = int(rng.choice([256, 4096, 16384]))
        voi = Voi(
            function=function,
            center=float(rng.uniform(low - 500, low + count)),
            width=float(np.round(rng.uniform(1, count), 1)) if number else 1.0,
        )
        invert = bool(number % 2)
        scale = Scale(float(low), float(low + count - 1), is_exact=True)
        script = "([s, w]) => room.toBase64(room.windows.windowTable(s, w))"
        told = [
            {"low": low, "step": 1, "count": count, "invert": invert},
            {"function": function, "center": voi.center, "width": voi.width},
        ]
        got = np.frombuffer(base64.b64decode(page.evaluate(script, told)), np.uint8)
        assert np.array_equal(got, grey_table(scale, voi, invert=invert))


def test_a_mouse_over_a_stored_pixel_reports_it_at_five_zooms(room):
    page = room(2)
    page.evaluate("room.state.wall.go(1)")
    for view in ("R-CC", "L-CC"):
        for mirrored in (False, True):
            facts = page.evaluate(
                """([v, m]) => { const found = room.state.wall.views.find(w => w.image.name === v);
                   found.image.mirrored = m;
                   return {rect: found.rect, cols: found.image.cols}; }""",
                [view, mirrored],
            )
            stored = [301, 777]
            for step in (0.25, 0.7, 1, 2.3, 4):
                shown = facts["cols"] - stored[0] - 0.5 if mirrored else stored[0] + 0.5
                place(page, view, [shown - 200.5 * step, stored[1] + 0.5 - 300.5 * step], step)
                x, y = facts["rect"][0] + 200.5, facts["rect"][1] + 300.5
                box = page.locator("#stage").bounding_box()
                page.mouse.move(box["x"] + x, box["y"] + y)
                told = page.evaluate("room.state.pointer")
                assert [int(told["x"] // 1), int(told["y"] // 1)] == stored
                assert f"x {stored[0]}  y {stored[1]}" in page.text_content(".readout")
