"""A person at /docs: opens a call, tries it with what stands there, and sees the answer."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.docs.screenshots import CHROMIUM, QUIET
from tests.service.conftest import Served, png, served, zoo

__all__ = ["served", "zoo"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
SHOTS = os.environ.get("HARMONIUM_TEST_SHOTS")
"""A folder for screenshots, to look at."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield running
        running.close()


@contextlib.contextmanager
def visit(browser: Browser, port: int, path: str, width: int, *, refusals: bool = False) -> Iterator[Page]:
    """A page of this width; fails if anything is asked of another host, or an error is logged but for `refusals`."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    elsewhere: list[str] = []
    errors: list[str] = []
    own = ("", f"127.0.0.1:{port}")
    page.on("request", lambda asked: elsewhere.append(asked.url) if urlsplit(asked.url).netloc not in own else None)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}{path}")
    yield page
    page.close()
    assert elsewhere == []
    assert [error for error in errors if not (refusals and "Failed to load resource" in error)] == []


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, served: tuple[Served, httpx.Client], request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of all calls at this width."""
    with visit(browser, served[0].port, "/docs", request.param) as page:
        yield page


@pytest.mark.parametrize("call", ["recommend", "denoise", "encode", "generate"])
def test_try_it_out(page: Page, call: str, tmp_path: Path) -> None:
    block = page.locator(f"#operations-inference-{call}")
    block.locator(".opblock-summary").click()
    block.get_by_role("button", name="Try it out").click()
    if call in ("denoise", "encode"):
        picture = tmp_path / "picture.png"
        picture.write_bytes(png(48, 64, 3))
        block.locator("input[type=file]").set_input_files(picture)
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response").first
    expect(answer.locator(".response-col_status").first).to_contain_text("200", timeout=15_000)
    if call in ("denoise", "generate"):
        expect(answer.locator("img")).to_be_visible()
        assert answer.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") in (28, 64)
    width = page.viewport_size["width"] if page.viewport_size else 0
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{call}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
