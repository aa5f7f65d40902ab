"""The server's edge: who may ask, what every answer carries, how pixels are sent."""

import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from fourview.dicom.image import read_image
from fourview.serve.app import STATIC, Threads, routes_of
from fourview.serve.opening import What, open_extras
from room_examples import Client, served


@pytest.fixture(scope="module")
def url(phantom):
    room = open_extras(What(exams=[phantom / "dicom"]), cache_gb=0.25)
    with served(routes_of(room, Threads())) as url:
        yield url


@pytest.fixture
def client(url):
    return Client(url)


@pytest.fixture
def exam(client):
    _, listed = client.json("/api/exams")
    return client.json(f"/api/exams/{listed['rows'][0]['key']}")[1]


@pytest.mark.parametrize("token", ["", "wrong", "t" * 31])
def test_data_need_the_token(url, token):
    for path in ("/api/session", "/api/exams", "/api/none"):
        status, body = Client(url, token).json(path)
        assert (status, body) == (401, {"error": "not allowed"})


def test_the_page_needs_none_and_holds_no_data(url):
    status, headers, body = Client(url, "").request("GET", "/")
    assert status == 200 and b"phantom" not in body
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1"])
def test_another_host_name_is_refused(client, host):
    assert client.request("GET", "/", Host=host)[0] == 421


def test_a_large_body_is_refused(client, exam):
    status, _, _ = client.request("PUT", f"/api/exams/{exam['key']}/annotations", "x" * (1 << 20))
    assert status == 413


def test_unknown_keys_and_bad_numbers_are_one_line(client, exam):
    image = exam["images"][0]["key"]
    for path in (
        "/api/exams/0123456789abcdef",
        f"/api/exams/{image}",  # an image is no exam
        f"/api/images/{exam['key']}/table",
        f"/api/images/{image}/pixels?level=7",
        f"/api/images/{image}/pixels?level=x",
    ):
        status, body = client.json(path)
        assert status == 404 and len(body["error"]) > 10


def test_urls_hold_no_identifier(exam):
    for key in (exam["key"], *(image["key"] for image in exam["images"])):
        assert re.fullmatch(r"[0-9a-f]{16}", key)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("coding", ["zstd", "gzip", None])
def test_pixels_come_compressed_as_the_browser_takes_them(client, exam, phantom, coding, level):
    listed = exam["images"][0]
    path = f"/api/images/{listed['key']}/pixels?level={level}"
    status, headers, body = client.request("GET", path, **{"Accept-Encoding": coding or "br"})
    assert status == 200 and headers.get("content-encoding") == coding
    assert "Accept-Encoding" in headers["vary"] and "private" in headers["cache-control"]
    if coding is not None:
        body = getattr(imagecodecs, f"{coding}_decode")(body)
    shape = int(headers["x-rows"]), int(headers["x-cols"])
    pixels = np.frombuffer(body, "<u2").reshape(shape)
    stored = read_image(phantom / "dicom" / exam["patient"] / f"{listed['view']}.dcm").pixels
    assert shape == tuple(-(-side // 2**level) for side in stored.shape)
    if level == 0:
        assert np.array_equal(pixels, stored)


def test_what_the_browser_has_is_not_sent_again(client, exam):
    path = f"/api/images/{exam['images'][1]['key']}/pixels?level=2"
    tag = client.request("GET", path)[1]["etag"]
    status, _, body = client.request("GET", path, **{"If-None-Match": tag})
    assert status == 304 and body == b""


def test_the_page_fetches_nothing_from_elsewhere():
    for path in STATIC.iterdir():
        text = path.read_text()
        assert "http" not in text.replace("http-equiv", ""), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function", text)


def test_modules_of_the_page_are_short_enough_to_read():
    long = {p.name: n for p in STATIC.glob("*.js") if (n := p.read_text().count("\n")) > 300}
    assert not long


def test_an_image_that_cannot_be_decoded_says_why_and_the_others_hang(phantom, tmp_path):
    source = next((phantom / "dicom").iterdir())
    for path in source.iterdir():
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[: len(data) // 2] if path.stem == "R-CC" else data)
    room = open_extras(What(exams=[tmp_path]), cache_gb=0.25)
    with served(routes_of(room, Threads())) as url:
        client = Client(url)
        exam = client.json(f"/api/exams/{client.json('/api/exams')[1]['rows'][0]['key']}")[1]
        told = {
            image["view"]: client.json(f"/api/images/{image['key']}/display")
            for image in exam["images"]
        }
    assert told.pop("R-CC")[0] == 422
    assert [status for status, _ in told.values()] == [200, 200, 200]


def test_memory_stays_below_the_limit(phantom):
    capacity = 5_000_000
    room = open_extras(What(exams=[phantom / "dicom"]), cache_gb=capacity / (1 << 30)).room
    for row in room.worklist.frame.iter_rows(named=True):
        exam = room.listed((row["patient_id"], row["exam_id"]))
        for image in exam.images:
            room.pixels.get(image.image_id)
            assert room.pixels.num_bytes <= capacity


def test_static_files_are_part_of_the_package():
    names = {path.name for path in Path(STATIC).iterdir()}
    assert {"index.html", "room.css", "main.js", "gl.js", "window.js"} <= names
