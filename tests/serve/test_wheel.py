"""The wheel holds the page: it is opened from what the wheel unpacks to."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fourview

ROOT = Path(fourview.__file__).parents[2]
OPEN = """
import asyncio, re, sys
sys.path.insert(0, sys.argv[1])
import fourview
assert fourview.__file__.startswith(sys.argv[1]), fourview.__file__
from fourview.serve.app import make_app

app = make_app([], hosts=["here"], token="t" * 32)

async def get(path):
    sent, asked = [], []
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
             "query_string": b"", "headers": [(b"host", b"here")], "root_path": ""}
    async def receive():
        if asked:
            await asyncio.Event().wait()  # nobody goes away
        asked.append(1)
        return {"type": "http.request", "body": b""}
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])

status, page = asyncio.run(get("/"))
assert status == 200
wanted, seen = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.decode())), set()
assert wanted
while wanted - seen:
    path = sorted(wanted - seen)[0]
    seen.add(path)
    status, body = asyncio.run(get(path))
    assert status == 200, path
    wanted |= {"/static/" + name for name in re.findall(r'from "\\./([^"]+)"', body.decode())}
print(len(seen))
"""


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs a checkout, not a wheel")
def test_the_page_opens_from_the_wheel(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    command = [sys.executable, "-c", OPEN, str(tmp_path / "unpacked")]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert int(done.stdout) > 20  # the page, its style, and every module that a module asks for
