"""One browser for all tests of the page, and phantom exams of three vendors at their own size."""

import os
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("FOURVIEW_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--enable-unsafe-swiftshader",  # WebGL2 without a graphics card
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="session")
def browser():
    """A real Chromium; absent where none is installed."""
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium here: apt-get install chromium, or set FOURVIEW_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A new page whose errors and requests are kept; a test ends with no error."""
    context = browser.new_context(viewport={"width": 1700, "height": 1300})
    page = context.new_page()
    page.set_default_timeout(3_600_000)  # ms: only so that a deadlock ends
    page.faults, page.asked = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()
    assert not page.faults
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:")) for url in page.asked)
