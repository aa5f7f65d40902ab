"""Open the room: a socket, one URL with a token, and a server until Ctrl-C."""

import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.routing import BaseRoute

from fourview.errors import ServeError
from fourview.jobs.ending import ended_by_signals
from fourview.serve.app import make_app

LOCAL = ("127.0.0.1", "localhost", "::1")
LAST_PORT = 65535
LEAST_TOKEN = 16  # characters of a token from a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the server listens.

    Attributes:
        host: Address or name; another than this machine's own needs the three files.
        port: 0 takes a free one.
        certificate: PEM file of the server's certificate.
        key: PEM file of its private key.
        token: File with the token; without it one is drawn.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    token: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOCAL


def serve(routes: Sequence[BaseRoute], place: Place, *, opened: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, from the moment the URL is told.

    Args:
        routes: Below /api/.
        place: Where to listen.
        opened: Called with the URL once the socket takes requests.

    Raises:
        ServeError: The place is taken, or another host is asked for without its files.
    """
    token = _token(place)
    listener = _listen(place)
    port = int(listener.getsockname()[1])
    names = {place.host, *(LOCAL if place.is_local else ())}
    hosts = [f"[{n}]:{port}" if ":" in n else f"{n}:{port}" for n in sorted(names)]
    config = uvicorn.Config(
        make_app(routes, hosts=hosts, token=token),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=None if place.certificate is None else str(place.certificate),
        ssl_keyfile=None if place.key is None else str(place.key),
    )
    scheme = "http" if place.certificate is None else "https"
    shown = f"[{place.host}]" if ":" in place.host else place.host
    server = uvicorn.Server(config)

    def end() -> None:
        server.should_exit = True

    with contextlib.closing(listener), ended_by_signals(end):
        opened(f"{scheme}://{shown}:{port}/#token={token}")  # a fragment stays in the browser
        server.run(sockets=[listener])


def _token(place: Place) -> str:
    if not place.is_local and None in (place.certificate, place.key, place.token):
        raise ServeError(
            f"--host {place.host}: others could listen; give --certificate, --key and --token-file,"
            " or serve on 127.0.0.1 and use a tunnel"
        )
    if (place.certificate is None) != (place.key is None):
        raise ServeError("--certificate and --key belong together; give both or none")
    for path in (place.certificate, place.key, place.token):
        if path is not None and not path.is_file():
            raise ServeError(f"{path}: not found")
    if place.token is None:
        return secrets.token_urlsafe(24)
    token = place.token.read_text(encoding="utf-8").strip()
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ServeError(f"{place.token}: need one token of {LEAST_TOKEN} characters or more")
    return token


def _listen(place: Place) -> socket.socket:
    if not 0 <= place.port <= LAST_PORT:
        raise ServeError(f"cannot listen on port {place.port}: need 0 to {LAST_PORT}")
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        return socket.create_server((place.host, place.port), family=family)
    except OSError as error:
        raise ServeError(
            f"cannot listen on {place.host} port {place.port}: {error}; name another --port, or 0"
        ) from None
