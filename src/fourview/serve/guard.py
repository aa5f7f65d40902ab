"""Who may ask, and what every answer carries: the edge of the room's server."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1 << 20  # bytes
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets through what asks for our host with our token; refuses large bodies.

    The page itself needs no token: it holds no data. A host that is not ours is a name that
    somebody else points at this machine (DNS rebinding).

    Attributes:
        app: What is guarded.
        hosts: Values of the Host header that are ours, with the port.
        token: What every request for data brings as ``Authorization: Bearer TOKEN``.
    """

    app: ASGIApp
    hosts: Sequence[str]
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if headers.get(b"host", b"").decode("latin-1").lower() not in self.hosts:
            await _refuse(send, 421, "this server answers to its own name only")
        elif scope["path"].startswith("/api/") and not self._knows_token(headers):
            await _refuse(send, 401, "not allowed")
        elif _length(headers) > MAX_BODY:
            await _refuse(send, 413, f"a body has at most {MAX_BODY:,} bytes")
        else:
            await self.app(scope, _limited(receive), _with_headers(send))

    def _knows_token(self, headers: dict[bytes, bytes]) -> bool:
        header = headers.get(b"authorization", b"")
        # In constant time, so that how long it takes tells nothing of the token.
        return hmac.compare_digest(header, b"Bearer " + self.token.encode())


def _length(headers: dict[bytes, bytes]) -> int:
    header = headers.get(b"content-length", b"0")
    return int(header) if header.isdigit() else MAX_BODY + 1


def _limited(receive: Receive) -> Receive:
    """Ends a body that turns out longer than it may be, as one that was cut off."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > MAX_BODY else message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            extra = [(n, v) for n, v in HEADERS if n not in given]
            if b"cache-control" not in given:
                extra.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return sending


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
