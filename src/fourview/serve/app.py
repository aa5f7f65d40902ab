"""The routes of the room's server. Decoding runs in two threads; answers are JSON or bytes."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from fourview.errors import FourviewError, ServeError
from fourview.serve.extras import Extras
from fourview.serve.guard import Guard
from fourview.serve.maps import BusyError
from fourview.serve.pixels import HALVINGS, Held, etag, packed
from fourview.serve.study_room import RefusedError
from fourview.serve.wire import Annotations, Say
from fourview.serve.worklist import Query

STATIC = Path(str(files("fourview.serve") / "static"))
DECODERS = 2  # threads; imagecodecs lets go of the interpreter
Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")
BodyT = TypeVar("BodyT", bound=BaseModel)


class Threads:
    """Runs what takes long away from the loop that answers."""

    def __init__(self, number: int = DECODERS) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="room")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function returns, or raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(function, *arguments))


def routes_of(extras: Extras, threads: Threads) -> list[BaseRoute]:
    """Looking at exams: session, exams, pixels, and what is added to them."""
    room = extras.room

    async def session(_: Request) -> Response:
        return JSONResponse(extras.session_json())

    async def exams(request: Request) -> Response:
        return JSONResponse(await threads.run(room.worklist_json, query_of(request)))

    async def exam(request: Request) -> Response:
        return JSONResponse(await threads.run(extras.exam_json, request.path_params["key"]))

    async def heatmaps(request: Request) -> Response:
        place = _number(request, "prediction", 0)
        key = request.path_params["key"]
        return JSONResponse(await threads.run(room.heatmaps_json, key, place))

    async def axes(request: Request) -> Response:
        return JSONResponse(await threads.run(extras.axes_json, request.path_params["key"]))

    async def curve(request: Request) -> Response:
        return JSONResponse(await threads.run(extras.curve_json, _number(request, "source", 0)))

    return [
        Route("/api/session", session),
        Route("/api/exams", exams),
        Route("/api/exams/{key}", exam),
        Route("/api/exams/{key}/heatmaps", heatmaps),
        Route("/api/exams/{key}/axes", axes),
        Route("/api/curve", curve),
        *network_routes(extras),
        *annotation_routes(extras, threads),
        *image_routes(room.held, threads),
    ]


def network_routes(extras: Extras) -> list[BaseRoute]:
    """What networks say now; waiting for them holds up no pixels."""
    slow = Threads(2)

    async def predict(request: Request) -> Response:
        return JSONResponse(await slow.run(extras.predict_json, request.path_params["key"]))

    async def say(request: Request) -> Response:
        body = await body_of(request, Say)
        return JSONResponse(await slow.run(extras.say_json, request.path_params["key"], body))

    async def agreement(request: Request) -> Response:
        side = request.query_params.get("side", "")
        key = request.path_params["key"]
        return JSONResponse(await slow.run(extras.agreement_json, key, side))

    return [
        Route("/api/exams/{key}/predict", predict, methods=["POST"]),
        Route("/api/exams/{key}/say", say, methods=["POST"]),
        Route("/api/exams/{key}/agreement", agreement),
    ]


def annotation_routes(extras: Extras, threads: Threads) -> list[BaseRoute]:
    """What a person marks."""

    async def annotate(request: Request) -> Response:
        body = await body_of(request, Annotations)
        await threads.run(extras.save_annotations, request.path_params["key"], body)
        return Response(status_code=204)

    async def annotations(_: Request) -> Response:
        return Response(await threads.run(extras.annotations.csv), media_type="text/csv")

    return [
        Route("/api/exams/{key}/annotations", annotate, methods=["PUT"]),
        Route("/api/annotations.csv", annotations),
    ]


def image_routes(
    held: Callable[[str], Held],
    threads: Threads,
    facts: Callable[[Held], dict[str, Any]] = Held.facts,
) -> list[BaseRoute]:
    """Pixels, table and facts of an image by its key."""

    async def pixels(request: Request) -> Response:
        key, halvings = request.path_params["key"], _number(request, "level", 0)
        if halvings not in HALVINGS:
            raise ServeError(f"level {halvings}: there are {', '.join(map(str, HALVINGS))}")
        tag = etag(key, halvings)
        if request.headers.get("if-none-match") == tag:
            await threads.run(held, key)  # an unknown key is refused here too
            return Response(status_code=304, headers={"ETag": tag})
        accepts = request.headers.get("accept-encoding", "")
        body, coding, shape = await threads.run(_pack, held, key, halvings, accepts)
        headers = {
            "ETag": tag,
            "X-Rows": str(shape[0]),
            "X-Cols": str(shape[1]),
            "Cache-Control": "private, no-cache",  # kept, and asked for again by its tag
            "Vary": "Accept-Encoding",
        }
        if coding is not None:
            headers["Content-Encoding"] = coding
        return Response(body, media_type="application/octet-stream", headers=headers)

    async def table(request: Request) -> Response:
        image = await threads.run(held, request.path_params["key"])
        return Response(image.table.tobytes(), media_type="application/octet-stream")

    async def display(request: Request) -> Response:
        image = await threads.run(held, request.path_params["key"])
        return JSONResponse(facts(image))

    return [
        Route("/api/images/{key}/pixels", pixels),
        Route("/api/images/{key}/table", table),
        Route("/api/images/{key}/display", display),
    ]


def _pack(
    held: Callable[[str], Held], key: str, halvings: int, accepts: str
) -> tuple[bytes, str | None, tuple[int, ...]]:
    pixels = held(key).at(halvings)
    return (*packed(pixels, accepts), pixels.shape)


def make_app(routes: Sequence[BaseRoute], *, hosts: Sequence[str], token: str) -> ASGIApp:
    """The server's application: the page and the routes, guarded.

    Args:
        routes: Below /api/.
        hosts: Host headers that are ours, with their port.
        token: That requests for data bring.
    """

    async def page(_: Request) -> Response:
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html")

    app = Starlette(
        routes=[*routes, Route("/", page), Mount("/static", StaticFiles(directory=STATIC))],
        exception_handlers={
            BusyError: _told(429),
            RefusedError: _told(409),
            ServeError: _told(404),
            FourviewError: _told(422),
            ValidationError: _invalid,
            ClientDisconnect: _told(400),
        },
    )
    return Guard(app, [host.lower() for host in hosts], token)


def query_of(request: Request) -> Query:
    """The checked query of a request for the worklist."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in ("where", "outcome"):
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return Query.model_validate(values)


async def body_of(request: Request, kind: type[BodyT]) -> BodyT:
    """The checked body of a request.

    Raises:
        ValidationError: It is no JSON of that kind.
    """
    return kind.model_validate_json(await request.body())


def _told(status: int) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": " ".join(str(error).split())}, status_code=status)

    return answer


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}" if where else first["msg"]
    return JSONResponse({"error": text}, status_code=422)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal():
        raise ServeError(f"{name} is '{text[:20]}', need a number")
    return int(text)
