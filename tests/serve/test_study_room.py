"""The room of a reader study, as a browser meets it."""

import pytest

from fourview.errors import ServeError
from fourview.serve.answers import Login
from fourview.serve.app import Threads
from fourview.serve.study_room import RefusedError, StudyRoom
from fourview.serve.study_routes import study_routes
from room_examples import served
from study_examples import ScriptedReader, make_study


@pytest.fixture
def study(tmp_path):
    room = StudyRoom(make_study(tmp_path / "study"), tmp_path / "out", cache_bytes=1 << 20)
    with served(study_routes(room, Threads())) as url:
        yield room, url


ANSWERS = {"recall": {"R": True, "L": True}, "suspicion": {"R": 1, "L": 2}, "marks": []}


def test_the_second_window_of_a_reader_is_refused(study):
    room, url = study
    first = ScriptedReader(url, "R1")
    assert first.status == 200
    second = ScriptedReader(url, "R1")
    assert second.status == 409 and "another window" in second.told["error"]
    assert ScriptedReader(url, "R2").status == 200
    first.client.request("POST", "/api/study/logout", **first.headers)
    assert ScriptedReader(url, "R1").status == 200
    wrong = ScriptedReader(url, "R2", pin="9999")
    assert wrong.status == 409 and wrong.told["error"] == "the code or the PIN is wrong"
    stranger = ScriptedReader(url, "R9")
    assert stranger.told == wrong.told  # no hint which of the two it was
    assert len(room.sessions) == 2


def test_keys_differ_between_readers_and_arms_and_only_open_exams_are_sent(study):
    room, url = study
    one, two = ScriptedReader(url, "R1"), ScriptedReader(url, "R2")
    first, other = one.next()["exam"], two.next()["exam"]
    assert not {i["key"] for i in first["images"]} & {i["key"] for i in other["images"]}
    key = first["images"][0]["key"]
    one.pixels(key)
    assert one.send(first, ANSWERS)[0] == 200
    one.next()
    status, _, _ = one.client.request("GET", f"/api/images/{key}/pixels?level=2", **one.headers)
    assert status == 404  # it was read: it is not shown again
    for path in ("/api/exams", "/api/curve", "/api/annotations.csv", f"/api/exams/{key}"):
        assert one.client.request("GET", path, **one.headers)[0] == 404
    assert len(room.journal.readings()) == 1


def test_answers_without_a_session_or_with_gaps_are_not_taken(study):
    room, url = study
    reader = ScriptedReader(url, "R1")
    exam = reader.next()["exam"]
    status, told = reader.send(exam, ANSWERS | {"suspicion": {"R": 1}})
    assert status == 422 and "breast L" in told["error"]
    reader.headers = {"X-Reader": "guess"}
    assert reader.send(exam, ANSWERS)[0] == 409
    assert room.journal.readings() == []


def test_a_sequential_reader_sees_the_first_answers_locked_in(tmp_path):
    study_plan = make_study(tmp_path / "study", design="sequential")
    room = StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)
    with served(study_routes(room, Threads())) as url:
        reader = ScriptedReader(url, "R1")
        first = reader.next()["exam"]
        assert first["before"] is None and "shown" not in first
        mark = {"image": first["images"][0]["key"], "box": [1, 2, 9, 9], "suspicion": 40}
        reader.send(first, ANSWERS | {"marks": [mark]})
        second = reader.next()["exam"]
        assert second["show"] and second["shown"]["scores"]["R"] > 0
        assert second["before"]["suspicion"] == {"R": 1, "L": 2}
        assert second["before"]["marks"][0]["image"] == second["images"][0]["key"]
        assert second["key"] != first["key"]
        reader.send(second, ANSWERS)
    assert [r["arm"] for r in room.journal.readings()] == ["unaided", "aided"]


def test_a_study_that_was_begun_otherwise_is_refused(tmp_path):
    study_plan = make_study(tmp_path / "study")
    StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)
    study_plan.write_text(study_plan.read_text().replace("seed = 5", "seed = 6"))
    with pytest.raises(ServeError, match="begun with another plan"):
        StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)


def test_wrong_pins_are_slowed_down(tmp_path):
    room = StudyRoom(make_study(tmp_path / "study"), tmp_path / "out", cache_bytes=1 << 20)
    room.journal.check_pin("R1", "1234")
    told = []
    for _ in range(6):
        with pytest.raises(RefusedError) as error:
            room.login(Login(code="R1", pin="0000"))
        told.append(str(error.value))
    assert "too many tries" in told[-1] and "too many" not in told[0]
