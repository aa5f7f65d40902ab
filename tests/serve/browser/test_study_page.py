"""A reader study in the browser, with the keyboard alone."""

import numpy as np
import pytest

from fourview.serve.app import Threads
from fourview.serve.study_room import StudyRoom
from fourview.serve.study_routes import study_routes
from room_examples import served, until
from study_examples import make_study


@pytest.fixture
def study(tmp_path):
    plan = make_study(tmp_path / "study", exams=2, more="steps = [1, 2, 3]")
    room = StudyRoom(plan, tmp_path / "out", cache_bytes=1 << 22)
    with served(study_routes(room, Threads())) as url:
        yield room, url


def tab_to(page, wanted):
    """Press Tab until a control has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == wanted:
            return
    raise AssertionError(f"Tab never reaches {wanted}")


def read_one(page, number):
    until(page, "room.state.clock.running")
    assert page.is_disabled("#send")
    page.keyboard.press("x")  # a region in the middle of the active view
    tab_to(page, "recall-R-yes")
    page.keyboard.press("Space")
    tab_to(page, "suspicion-R")
    assert "untouched" in page.get_attribute("#suspicion-R", "class")
    for _ in range(number):
        page.keyboard.press("ArrowRight")
    tab_to(page, "recall-L-yes")
    page.keyboard.press("ArrowRight")  # no
    tab_to(page, "suspicion-L")
    page.keyboard.press("Home")
    mark = page.evaluate("room.state.marks.marks[0].id")
    assert "suspicion of region 1" in page.text_content("#missing")
    tab_to(page, f"suspicion-{mark}")
    page.keyboard.press("End")
    tab_to(page, "send")
    page.keyboard.press("Enter")


def test_a_study_is_read_with_the_keyboard_alone(page, study):
    room, url = study
    page.goto(url)
    page.evaluate("room.ready")
    page.keyboard.type("R1")
    page.keyboard.press("Tab")
    page.keyboard.type("2468")
    page.keyboard.press("Enter")
    for number in range(1, 5):
        until(
            page,
            f"(document.querySelector('.side h2') || {{}}).textContent === 'Reading {number} of 4'",
        )
        page.keyboard.press("2")  # a step of the hanging
        page.keyboard.press("7")  # one that this study does not allow
        assert page.evaluate("room.state.wall.steps.length") == 3
        read_one(page, number)
        until(page, f"document.querySelector('#finished') || room.state.told.done === {number}")
    until(page, "document.querySelector('#finished')")
    assert "All exams are read" in page.text_content("#finished")
    readings = room.journal.readings()
    assert [r["answers"]["suspicion"] for r in readings] == [
        {"R": 50.0 + number, "L": 0.0} for number in range(1, 5)
    ]
    for row in readings:
        assert row["answers"]["recall"] == {"R": True, "L": False}
        (mark,) = row["answers"]["marks"]
        box = np.array(mark["box"])
        assert mark["suspicion"] == 100 and (box[2:] > box[:2]).all()
        assert row["duration_ms"] > 0 and row["screen"]["ratio"] == 1
        assert any(what == "first mark" for _, what, _ in row["events"])
    asked = [u for u in page.asked if "/api/" in u]
    assert not [u for u in asked if "/api/exams" in u or "EXAM" in u or "PATIENT" in u]


def test_what_no_server_took_is_sent_once_after_it_is_back(page, study):
    room, url = study
    page.goto(url)
    page.evaluate("room.ready")
    page.evaluate("room.state.login('R1', '2468')")
    until(page, "room.state.clock.running")
    page.evaluate(
        """() => { const f = room.state.form; for (const s of ['R', 'L']) {
             f.set('recall', s, true); f.set('suspicion', s, 30); } }"""
    )
    page.route("**/api/study/send", lambda route: route.abort())
    page.click("#send")
    until(page, "document.getElementById('banner').textContent.includes('does not answer')")
    assert room.journal.readings() == []
    page.evaluate("fetch('/api/study/logout', {method: 'POST', headers: room.state.api.headers()})")
    page.unroute("**/api/study/send")
    page.goto("about:blank")
    page.goto(url)
    page.evaluate("room.ready")
    page.evaluate("room.state.login('R1', '2468')")
    until(page, "room.state.told && room.state.told.done === 1")
    assert len(room.journal.readings()) == 1


def test_a_pause_covers_the_picture_and_stops_the_clock(page, study):
    page.goto(study[1])
    page.evaluate("room.ready")
    page.evaluate("room.state.login('R2', '2468')")
    until(page, "room.state.clock.running")
    page.keyboard.press("p")
    assert page.is_visible("#cover")
    before = page.evaluate("room.state.clock.now()")
    page.wait_for_timeout(300)
    assert page.evaluate("room.state.clock.now()") == pytest.approx(before, abs=1)
    page.click("#cover button")
    assert page.locator("#cover").count() == 0
    assert page.evaluate("room.state.clock.away") >= 300


def test_glam_maps_of_the_browser_equal_those_of_python(page, study):
    import torch  # noqa: PLC0415 (only here)

    from fourview.predict.language_maps import slice_map  # noqa: PLC0415

    page.goto(study[1])
    rng = np.random.default_rng(0)
    agreement = rng.normal(size=6).astype(np.float32)
    attention = rng.dirichlet(np.ones(9), size=6).astype(np.float32)
    got = page.evaluate(
        """async ([a, b]) => { const {sliceMap} = await import('/static/glam.js');
           return [...sliceMap(new Float32Array(a), new Float32Array(b.flat()), 9)]; }""",
        [agreement.tolist(), attention.tolist()],
    )
    want = slice_map(agreement, torch.from_numpy(attention))
    assert np.array(got).reshape(9, 6) == pytest.approx(want, abs=1e-6)
