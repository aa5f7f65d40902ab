"""A room's server in a thread, requests to it, and small cohorts to look at."""

import base64
import contextlib
import http.client
import json
import socket
import threading
import time

import numpy as np
import uvicorn

from fourview.serve.app import make_app

TOKEN = "t" * 32


@contextlib.contextmanager
def served(routes):
    """The URL of the page, while a server runs in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = make_app(routes, hosts=[f"127.0.0.1:{port}"], token=TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/#token={TOKEN}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


class Client:
    """Plain requests to a served room."""

    def __init__(self, url, token=TOKEN):
        self.port = int(url.split(":")[2].split("/")[0])
        self.token = token

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Authorization": f"Bearer {self.token}"} | headers
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def json(self, path, method="GET", body=None, **headers):
        status, _, content = self.request(method, path, body, **headers)
        return status, json.loads(content) if content else None


def decoded(text):
    """Values of base64 of little-endian float32."""
    return np.frombuffer(base64.b64decode(text), "<f4")


def until(page, expression):
    """Wait until something holds in the page, however slow the machine is."""
    for _ in range(36_000):  # an hour: only so that a deadlock ends
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {expression}")
