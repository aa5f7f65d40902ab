"""Who is let in: by host, token and size of the body."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from fourview.serve.guard import HEADERS, MAX_BODY, Guard


async def told(request):
    return PlainTextResponse(f"{len(await request.body())}", headers={"cache-control": "max-age=9"})


async def plain(request):  # noqa: ARG001
    return PlainTextResponse("page")


APP = Starlette(routes=[Route("/api/x", told, methods=["POST"]), Route("/", plain)])
TOKEN = {"authorization": "Bearer secret"}


@pytest.fixture
def client():
    return TestClient(Guard(APP, ("room:1",), "secret"), base_url="http://room:1")


def test_the_page_needs_no_token_and_data_do(client):
    assert client.get("/").text == "page"
    for headers in ({}, {"authorization": "Bearer secre"}, {"authorization": "secret"}):
        assert client.post("/api/x", headers=headers).status_code == 401
    assert client.post("/api/x", headers=TOKEN, content=b"abc").text == "3"


def test_another_name_of_this_machine_is_refused(client):
    assert client.get("/", headers={"host": "evil.example:1"}).status_code == 421
    assert client.get("/", headers={"host": "ROOM:1"}).status_code == 200  # names have no case


def test_a_large_body_is_refused_by_its_header_and_where_that_lies(client):
    assert client.post("/api/x", headers=TOKEN, content=b"0" * (MAX_BODY + 1)).status_code == 413
    wrong = TOKEN | {"content-length": "one"}
    assert client.post("/api/x", headers=wrong, content=b"").status_code == 413


def test_every_answer_carries_the_policy_and_is_not_kept(client):
    for answer in (client.get("/"), client.post("/api/x")):
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode()
    assert client.get("/").headers["cache-control"] == "no-store"
    assert client.post("/api/x", headers=TOKEN).headers["cache-control"] == "max-age=9"
