"""The routes of a reader study: while one is read there are no others."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fourview.serve.answers import Login, Sheet
from fourview.serve.app import Threads, body_of, image_routes
from fourview.serve.study_room import StudyRoom


def study_routes(study: StudyRoom, threads: Threads) -> list[BaseRoute]:
    """Who reads, what is next, and the answers; images of the exam that is being read."""

    def token(request: Request) -> str:
        return request.headers.get("x-reader", "")

    async def session(_: Request) -> Response:
        return JSONResponse(study.session_json())

    async def login(request: Request) -> Response:
        body = await body_of(request, Login)
        return JSONResponse(await threads.run(study.login, body))

    async def logout(request: Request) -> Response:
        study.logout(token(request))
        return Response(status_code=204)

    async def alive(request: Request) -> Response:
        study.session(token(request))
        return Response(status_code=204)

    async def following(request: Request) -> Response:
        return JSONResponse(await threads.run(study.next_json, token(request)))

    async def send(request: Request) -> Response:
        sheet = await body_of(request, Sheet)
        return JSONResponse(await threads.run(study.send, token(request), sheet))

    return [
        Route("/api/session", session),
        Route("/api/study/login", login, methods=["POST"]),
        Route("/api/study/logout", logout, methods=["POST"]),
        Route("/api/study/alive", alive, methods=["POST"]),
        Route("/api/study/next", following),
        Route("/api/study/send", send, methods=["POST"]),
        *image_routes(study.held, threads, study.facts),
    ]
