"""The reading room's floors, in a real Chromium with its software renderer: an exam at full size.

A row's ``plain`` is the limit (docs/reading_room.md), made longer by how much others slow the
machine down: wall time over processor time of a busy loop. A ratio of 1 is just fast enough.
"""

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import uvicorn
from playwright.sync_api import sync_playwright

from fourview.evaluate.protocols import find_protocol
from fourview.phantom.write import write_phantom
from fourview.serve.app import Threads, make_app, routes_of
from fourview.serve.opening import What, open_extras
from fourview.serve.worklist import Query, Worklist

CHROMIUM = os.environ.get("FOURVIEW_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"]
MANY = 100_000  # exams of the list
FIRST_COLD_S, FIRST_WARM_S, FULL_S, NEXT_S = 1.5, 0.5, 4.0, 0.3
DRAW_S, DRAG_S, LIST_S = 0.05, 0.05, 0.3
EXAM_BYTES, SERVER_BYTES = 14e6, 250e6
CACHE_GB = 0.5
REPEATS = 7

DRAWS = """async ([what, n]) => { const { wall } = room.state, { screen } = wall, times = [];
  for (let i = 0; i < n; i++) {
    const at = performance.now();
    if (what === 'window') {
      room.state.viewer.images.setWindow({scale: 1 + 0.01 * i, shift: 0, inverted: false},
        wall.views.map(v => v.image));
    } else screen.drawn.clear();
    room.draw(what === 'moving');
    times.push(performance.now() - at);
  }
  return times.sort((a, b) => a - b)[n >> 1] / 1000; }"""


def run():
    """A row a floor; none of the page's where there is no browser."""
    slow = slowdown()
    print(f"serve: others slow this machine down by {slow:.1f}", flush=True)
    yield from _list_rows(slow)
    if not Path(CHROMIUM).exists():
        print("serve: no Chromium here, the page is not measured", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        write_phantom(out, num_exams=2, seed=7, preset="enriched", vendors=("C",), workers=2)
        yield from _page_rows(out / "dicom", slow)


def slowdown(seconds: float = 1.0) -> float:
    """Wall time over processor time of a busy loop; 1 on free cores."""
    wall, cpu = time.perf_counter(), time.thread_time()
    while time.thread_time() - cpu < seconds:
        pass
    return (time.perf_counter() - wall) / (time.thread_time() - cpu)


def _row(name, seconds, limit, slow):
    allowed = limit * slow
    return {"name": name, "ours": seconds, "plain": allowed, "ratio": allowed / seconds, "floor": 1}


def _list_rows(slow):
    rng = np.random.default_rng(0)
    exams = pl.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(MANY)],
            "exam_id": [f"e{i}" for i in range(MANY)],
            "date": ["20200101"] * MANY,
            "num_images": pl.Series([4] * MANY, dtype=pl.Int32),
            "notes": pl.Series([0] * MANY, dtype=pl.Int32),
        }
    )

    class Scores:
        name = "scores"

        def scores(self):
            both = [exams.select("patient_id", "exam_id", side=pl.lit(s)) for s in "RL"]
            return pl.concat(both).with_columns(score=pl.Series(rng.random(2 * MANY)))

        def num_regions(self):
            return pl.DataFrame(schema={"exam_id": pl.String, "num_regions": pl.Int32})

        def of(self, _):
            return None

    worklist = Worklist(exams, None, [Scores()], find_protocol("screening-breast-v1"))
    query = Query(text="7", sort="score_0_R", descending=True, bar="0.2 0.9 unknown")
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        worklist.answer(query, lambda *which: which[1])
        times.append(time.perf_counter() - start)
    yield _row("filter and sort 100,000 exams", sorted(times)[REPEATS // 2], LIST_S, slow)


def _page_rows(dicom, slow):
    before = psutil.Process().memory_info().rss
    what = What(exams=[dicom], annotations=dicom.parent / "annotations.sqlite")
    extras = open_extras(what, cache_gb=CACHE_GB)
    with _Served(routes_of(extras, Threads())) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1936, "height": 1250})  # a wall of 1600 x 1200
        received = []
        page.on("response", lambda r: received.append(int(r.headers.get("content-length", 0))))
        for kind, limit in (("cold", FIRST_COLD_S), ("warm", FIRST_WARM_S)):
            page.goto("about:blank")
            received.clear()
            page.goto(f"{url}&n=1")
            page.evaluate("room.ready")
            marks = _marks(page)
            yield _row(f"first view, {kind}", marks["first"], limit, slow)
        yield _row("four views at full size, warm", marks["full"], FULL_S, slow)
        size = {"name": "bytes of an exam, all levels asked for", "floor": 1}
        yield size | _of_limit(sum(received), EXAM_BYTES)
        for words, kind, limit in (
            ("draw of four views while they move", "moving", DRAW_S),
            ("draw of four views at rest, every stored pixel", "rest", None),
            ("a window dragged", "window", DRAG_S),
        ):
            seconds = page.evaluate(DRAWS, [kind, REPEATS])
            row = _row(words, seconds, limit or DRAW_S, slow)
            yield row if limit else row | {"floor": None}
        page.evaluate("room.state.ahead()")
        page.evaluate("() => { performance.clearMeasures(); room.state.beside('next'); }")
        yield _row("next exam, prepared", _marks(page)["first"], NEXT_S, slow)
        used = psutil.Process().memory_info().rss - before - extras.room.pixels.num_bytes
        yield {"name": "memory of the server beside its images", "floor": 1} | _of_limit(
            max(used, 1), SERVER_BYTES
        )
        browser.close()


def _of_limit(figure, limit):
    """Megabytes where others have seconds."""
    return {"ours": figure / 1e6, "plain": limit / 1e6, "ratio": limit / figure}


def _marks(page):
    script = "Object.fromEntries(performance.getEntriesByType('measure').map(m => [m.name, m]))"
    while True:
        marks = page.evaluate(f"JSON.parse(JSON.stringify({script}))")
        if "full" in marks:
            return {name: mark["duration"] / 1000 for name, mark in marks.items()}
        time.sleep(0.1)


class _Served:
    def __init__(self, routes):
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        app = make_app(routes, hosts=[f"127.0.0.1:{port}"], token="bench")
        self.server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
        run = self.server.run
        self.thread = threading.Thread(target=run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.url = f"http://127.0.0.1:{port}/#token=bench"

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self.url

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join(10)
