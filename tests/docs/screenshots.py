"""Makes the pictures that the documents show, with the running service, for review: `make screenshots`."""

import base64
import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from tests.processes import ROOT, running

EXAMPLES = ROOT / "docs" / "examples"
SCREENSHOTS = ROOT / "docs" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
WIDTHS = {1280: 860, 390: 844}
"""Of a desktop and of a phone, with their heights."""
SECTIONS = {1280: ("recommend", "denoise"), 390: ("plane",)}
"""Of the page for people, what is shown at which width."""
GAP = 2
SHOWN = "127.0.0.1:8000"
"""The address that the browser shows: that of `make serve`."""
Made = Callable[[httpx.Client], bytes]


def compare(client: httpx.Client) -> bytes:
    """The noisy photograph and, to its right, the clean one."""
    query = {"view": "compare", "quality": "92"}
    headers = {"content-type": "image/png", "accept": "image/webp"}
    picture = (EXAMPLES / "noisy.png").read_bytes()
    return client.post("/v1/denoise", params=query, content=picture, headers=headers).raise_for_status().content


def classes(model: str) -> Made:
    """Ten pictures of every class, those of seeds 1 to 10."""

    def made(client: httpx.Client) -> bytes:
        asks: list[dict[str, Any]] = [{"model": model, "class": number, "seed": 1, "count": 10} for number in range(10)]
        return grid([stack(client, ask) for ask in asks])

    return made


def slants(client: httpx.Client) -> bytes:
    """The drawn seven, leaning to the left and to the right, in a row."""
    edits = [{"image": seven(), "direction": "slant", "amount": amount} for amount in (-3, -2, -1, 0, 1, 2, 3)]
    return grid([np.concatenate([stack(client, {"model": "digits-vae", "edit": edit}) for edit in edits])])


def morph(client: httpx.Client) -> bytes:
    """The drawn seven on its way to an eight."""
    ask = {"model": "digits-vae", "interpolate": {"from": {"image": seven()}, "to": {"seed": 3}, "steps": 24}}
    return generated(client, ask, "image/gif")


def lattice(client: httpx.Client) -> bytes:
    """A plane of the latent space."""
    return generated(client, {"model": "digits-vae", "lattice": {"size": 10, "x": 0, "y": 3}}, "image/png")


def reconstruction(client: httpx.Client) -> bytes:
    """What is left of the drawn seven in 24 numbers."""
    headers = {"content-type": "image/png"}
    answer = client.post("/v1/encode?reconstruct=true", content=(EXAMPLES / "seven.png").read_bytes(), headers=headers)
    return base64.b64decode(answer.raise_for_status().json()["encodings"][0]["reconstruction"])


MADE: dict[str, Made] = {
    "compare.webp": compare,
    "digits.png": classes("digits-gan"),
    "garments.png": classes("fashion-gan"),
    "slants.png": slants,
    "morph.gif": morph,
    "lattice.png": lattice,
    "reconstruction.png": reconstruction,
}
"""The pictures of docs/examples by their names."""


def seven() -> str:
    """The drawn seven as JSON bodies hold it."""
    return base64.b64encode((EXAMPLES / "seven.png").read_bytes()).decode()


def generated(client: httpx.Client, ask: dict[str, Any], accept: str) -> bytes:
    return client.post("/v1/generate", json=ask, headers={"accept": accept}).raise_for_status().content


def stack(client: httpx.Client, ask: dict[str, Any]) -> NDArray[np.uint8]:
    """[B,H,W]"""
    return np.load(io.BytesIO(generated(client, ask, "application/x-npy")))


def grid(rows: list[NDArray[np.uint8]]) -> bytes:
    """Rows of pictures [B,H,W] with white lines between, as PNG."""
    padded = [np.pad(row, ((0, 0), (0, GAP), (0, GAP)), constant_values=255) for row in rows]
    pixels = np.concatenate([np.concatenate(list(row), axis=1) for row in padded])
    buffer = io.BytesIO()
    Image.fromarray(np.pad(pixels, ((GAP, 0), (GAP, 0)), constant_values=255)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def shoot(browser: Browser, width: int) -> None:
    """The page of all calls, and one call tried on it."""
    page = browser.new_page(viewport={"width": width, "height": WIDTHS[width]})
    page.goto(f"http://{SHOWN}/docs")
    block = page.locator("#operations-inference-generate")
    expect(block).to_be_visible()
    save(page.screenshot(), f"docs-{width}.png")
    block.locator(".opblock-summary").click()
    block.get_by_role("button", name="Try it out").click()
    block.locator("textarea").fill('{"class": 3, "seed": 7, "count": 16}')
    block.locator("textarea").evaluate("field => field.style.minHeight = field.style.height = '3em'")
    block.get_by_role("button", name="Execute").click()
    picture = block.locator(".live-responses-table img").first
    expect(picture).to_be_visible()
    picture.evaluate("image => image.decode()")
    page.mouse.move(0, 0)
    page.evaluate("window.scrollTo(0, 0)")
    top, end = block.bounding_box(), block.locator(".live-responses-table").bounding_box()
    assert top is not None
    assert end is not None
    clip = {"x": 0, "y": top["y"] - 8, "width": width, "height": end["y"] + end["height"] - top["y"] + 16}
    save(page.screenshot(full_page=True, clip=clip), f"call-{width}.png")
    page.close()


def try_the_page(browser: Browser, width: int) -> None:
    """The page for people: films that were liked, and a photograph that was cleaned."""
    page = browser.new_page(viewport={"width": width, "height": WIDTHS[width]})
    page.goto(f"http://{SHOWN}/")
    for title in ("Alien", "Toy Story"):
        page.get_by_label("Films you like").first.fill(title)
        expect(page.locator("#film-options").get_by_role("option").first).to_contain_text(title)
        page.keyboard.press("Enter")
    expect(page.locator("#films .why").first).to_be_visible()
    page.get_by_role("button", name="Try noisy asters").click()
    expect(page.locator("#noise")).to_contain_text("gone in")
    page.locator("header").evaluate("header => header.style.position = 'static'")  # or it lies over the sections
    page.mouse.click(0, 0)  # no ring around the field that was typed into
    for section in SECTIONS[width]:
        save(page.locator(f"#{section}").screenshot(), f"{section}-{width}.png")
    page.close()


def save(screenshot: bytes, name: str) -> None:
    """In 256 colours: a third of the bytes."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    few = image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(SCREENSHOTS / name, optimize=True)


def main() -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running(ROOT / "models" / "zoo", Path(home)) as service:
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60) as client:
            for name, made in MADE.items():
                (EXAMPLES / name).write_bytes(made(client))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[*QUIET.split(), f"--host-resolver-rules=MAP {SHOWN} 127.0.0.1:{service.port}"],
            )
            for width in WIDTHS:
                shoot(browser, width)
                try_the_page(browser, width)
            browser.close()


if __name__ == "__main__":
    main()
