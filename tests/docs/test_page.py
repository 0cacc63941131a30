"""A person at /: likes films, cleans a photograph, walks the plane, draws samples; by mouse and keyboard."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from models.store import Store
from tests.docs.screenshots import CHROMIUM
from tests.docs.test_browser import SHOTS, browser, visit
from tests.service.conftest import Served, png, serving
from tests.versions import encode, encode_and_generate, generate, publish_all

__all__ = ["browser"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
KEY = "k" * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models for every section."""
    folder = tmp_path_factory.mktemp("page")
    publish_all(folder)
    for name, latent in (("digits-plane", 2), ("digits-space", 3)):
        Store([folder]).publish(*encode_and_generate(name=name, latent=latent))
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder) as (server, _):
        yield server


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page at this width, with all its sections filled."""
    with visit(browser, served.port, "/", request.param) as page:
        expect(page.get_by_text(re.compile(r"Ready with \d+ models"))).to_be_visible()
        yield page
        width = page.viewport_size["width"] if page.viewport_size else 0
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{request.node.name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def decoded(page: Page, selector: str) -> int:
    """The width of the picture that is shown there, once it is shown."""
    picture = page.locator(selector).first
    expect(picture).to_have_attribute("src", re.compile("^(blob|data):"))
    return picture.evaluate("image => image.decode().then(() => image.naturalWidth)")


def test_films_by_keyboard(page: Page) -> None:
    section = page.locator("#recommend")
    expect(section.get_by_text("What many liked, to begin with:")).to_be_visible()
    field = section.get_by_role("combobox", name="Films you like")
    field.press_sequentially("film")
    options = section.get_by_role("listbox", name="Films that fit").get_by_role("option")
    expect(options).to_have_count(8)
    second = options.nth(1)
    field.press("ArrowDown")
    expect(second).to_have_attribute("aria-selected", "true")
    title = second.evaluate("option => option.firstChild.textContent")
    field.press("Enter")
    expect(options.first).to_be_hidden()
    chip = section.get_by_role("button", name=re.compile(f"^{re.escape(title)}.*take it off the list"))
    expect(chip).to_be_visible()
    expect(section.get_by_text(re.compile(r"The best of \d+ films for you"))).to_be_visible()
    expect(section.locator("#films li")).to_have_count(12)
    expect(section.locator("#films .why").first).to_have_text(f"because of {title}")
    chip.press("Enter")
    expect(chip).to_have_count(0)
    expect(section.get_by_text("What many liked, to begin with:")).to_be_visible()


def test_a_listed_film_is_liked_by_its_button(page: Page) -> None:
    button = page.locator("#films").get_by_role("button").first
    name = button.get_attribute("aria-label") or ""
    button.click()
    expect(page.locator("#liked").get_by_role("button")).to_have_count(1)
    expect(page.locator("#films").get_by_role("button", name=name, exact=True)).to_have_count(0)


def test_a_photograph_before_and_after(page: Page, tmp_path: Path) -> None:
    section = page.locator("#denoise")
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(48, 64, 3))
    section.get_by_label("Choose a photograph").set_input_files(picture)
    expect(section.get_by_text(re.compile(r"Noise of [\d.]+ on the scale"))).to_be_visible(timeout=15_000)
    assert decoded(page, "#after") == decoded(page, "#before") == 64
    assert page.locator("#after").get_attribute("src") != page.locator("#before").get_attribute("src")
    line = section.get_by_role("slider", name="How much of the photograph is shown as it came")
    line.press("Home")
    expect(section.locator("#versus")).to_have_attribute("style", re.compile("--at: 0%"))
    section.get_by_label("Estimate the noise").uncheck()
    section.get_by_label("Strength").fill("40")
    expect(section.get_by_text(re.compile("Cleaned at strength 40 in"))).to_be_visible(timeout=15_000)
    with page.expect_download() as download:
        section.get_by_role("link", name="Save").click()
    assert download.value.suggested_filename == "clean.png"
    section.locator("summary").click()
    expect(section.locator("pre")).to_contain_text("strength=40")


def test_a_file_that_is_no_picture_is_refused_with_the_reason(page: Page, tmp_path: Path) -> None:
    section = page.locator("#denoise")
    (tmp_path / "notes.txt").write_text("no picture")
    section.get_by_label("Choose a photograph").set_input_files(tmp_path / "notes.txt")
    expect(section.get_by_role("alert")).to_have_text("notes.txt is no PNG, JPEG or WebP.")


def test_a_point_of_the_plane_is_a_picture(page: Page) -> None:
    assert decoded(page, "#walked") == 28
    first = page.locator("#walked").get_attribute("src")
    page.get_by_label("Across").fill("90")
    expect(page.locator("#walked")).not_to_have_attribute("src", first or "")
    second = page.locator("#walked").get_attribute("src")
    box = page.locator("#pad").bounding_box()
    assert box is not None
    page.locator("#pad").click(position={"x": box["width"] / 4, "y": box["height"] / 4})
    expect(page.locator("#walked")).not_to_have_attribute("src", second or "")
    assert abs(float(page.get_by_label("Across").input_value()) - 25) <= 1
    assert abs(float(page.get_by_label("Down").input_value()) - 25) <= 1


def stroke(page: Page) -> None:
    """One line down the middle of the paper."""
    paper = page.locator("#paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 3 / 4, steps=4)
    page.mouse.up()


def test_a_drawing_has_its_place_on_the_plane(page: Page) -> None:
    stroke(page)
    expect(page.get_by_text(re.compile(r"Your drawing has its place\."))).to_be_visible()
    page.get_by_role("button", name="Wipe").click()
    expect(page.get_by_text("Draw here.")).to_be_visible()


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("size", [(28, 28), (60, 40)])
def test_a_picture_of_dark_ink_is_drawn_light_on_dark(
    page: Page, tmp_path: Path, ink: int, size: tuple[int, int]
) -> None:
    picture = Image.new("L", size, 255 - ink)
    picture.paste(ink, (10, 8, 16, 20))
    picture.save(tmp_path / "scan.png")
    for _ in range(2):  # the same file again after Wipe
        page.get_by_label("Or a picture").set_input_files(tmp_path / "scan.png")
        expect(page.get_by_text(re.compile(r"Your drawing has its place\."))).to_be_visible()
        paper = page.locator("#paper").evaluate(
            "paper => [...paper.getContext('2d').getImageData(0, 0, paper.width, paper.height).data]"
        )
        shown = paper[::4]
        assert shown.count(0) > 0.8 * len(shown)
        assert shown.count(255) > 0.01 * len(shown)
        page.get_by_role("button", name="Wipe").click()
        expect(page.get_by_text("Draw here.")).to_be_visible()


def choose_another_plane(page: Page) -> list[Route]:
    """The second model of the plane. What the page asks about it comes into this list, to be continued."""
    held: list[Route] = []
    name = page.get_by_label("Model for the plane").locator("option").nth(1).inner_text()
    page.route(re.compile(f"/v1/models/{name}$"), lambda route: held.append(route))
    page.get_by_label("Model for the plane").select_option(name)
    return held


def test_a_drawing_waits_for_the_model_that_was_chosen(page: Page) -> None:
    """What is drawn before the page knows anything of the model is not lost, whichever answer comes first."""
    facts, encoding = choose_another_plane(page), list[Route]()
    page.route("**/v1/encode?*", lambda route: encoding.append(route))
    before = page.locator("#lattice").get_attribute("src") or ""
    stroke(page)
    expect(page.get_by_text("Draw here.")).to_be_visible()
    with page.expect_request("**/v1/encode?*"):
        facts[0].continue_()
    expect(page.locator("#lattice")).not_to_have_attribute("src", before)
    encoding[0].continue_()
    expect(page.get_by_text(re.compile(r"Your drawing has its place\."))).to_be_visible()


def test_a_drawing_that_was_wiped_is_not_waited_for(page: Page) -> None:
    facts, encodings = choose_another_plane(page), list[str]()
    page.on("request", lambda request: encodings.append(request.url) if "/v1/encode" in request.url else None)
    before = page.locator("#walked").get_attribute("src") or ""
    stroke(page)
    page.get_by_role("button", name="Wipe").click()
    facts[0].continue_()
    expect(page.locator("#walked")).not_to_have_attribute("src", before)
    expect(page.get_by_text("Draw here.")).to_be_visible()
    assert encodings == []


def test_a_drawing_is_placed_though_the_point_is_still_on_its_way(page: Page) -> None:
    walks: list[Route] = []
    page.route("**/v1/generate", lambda route: walks.append(route))
    with page.expect_request("**/v1/generate"):
        page.get_by_label("Across").fill("80")
    page.get_by_label("Across").fill("60")  # which waits for the first
    stroke(page)
    expect(page.get_by_text(re.compile(r"Your drawing has its place\."))).to_be_visible()
    before = page.locator("#walked").get_attribute("src") or ""
    walks[0].continue_()
    expect(page.locator("#walked")).not_to_have_attribute("src", before)


def test_samples_follow_seed_and_class(page: Page) -> None:
    section = page.locator("#generate")
    pictures = section.locator("#samples img")
    expect(pictures).to_have_count(24)
    first = pictures.first.get_attribute("src")
    section.get_by_label("Seed", exact=True).fill("7")
    section.get_by_label("Seed", exact=True).press("Enter")
    expect(pictures.first).to_have_attribute("alt", "sample, seed 7")
    assert pictures.first.get_attribute("src") != first
    section.get_by_label("Class").select_option("3")
    expect(pictures.first).to_have_attribute("alt", "3, seed 7")
    section.get_by_role("button", name="Another seed").click()
    expect(pictures.first).not_to_have_attribute("alt", "3, seed 7")


def test_every_control_is_reached_by_tab_and_has_a_name(page: Page) -> None:
    expect(page.locator("#samples img")).to_have_count(24)
    names: list[str] = []
    for _ in range(100):
        page.keyboard.press("Tab")
        here = page.locator(":focus")
        if here.count() == 0:
            break
        names.append(here.evaluate("e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"))
    assert "Skip to the content" in names[0]
    assert all(name.strip() for name in names)
    for wanted in ("Films you like", "Choose a photograph", "Try noisy asters", "Across", "Another seed"):
        assert any(wanted in name for name in names), wanted


def test_a_page_that_is_opened_too_early_fills_later(browser: Browser, tmp_path: Path) -> None:
    Store([tmp_path]).publish(*encode(name="other"))
    with (
        serving(tmp_path, default_generate="digits-gan") as (server, _),
        visit(browser, server.port, "/", 1280, refusals=True) as page,
    ):
        expect(page.get_by_role("status")).to_contain_text("HARMONIUM_DEFAULT_GENERATE is digits-gan")
        expect(page.locator("#generate")).to_be_hidden()
        Store([tmp_path]).publish(*generate())
        expect(page.locator("#samples img")).to_have_count(24, timeout=15_000)
        expect(page.locator("#recommend")).to_be_hidden()


def test_a_key_is_asked_for_and_then_used(browser: Browser, folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"page infer {hashlib.sha256(KEY.encode()).hexdigest()}\n")
    with serving(folder, keys=str(keys)) as (server, _), visit(browser, server.port, "/", 1280, refusals=True) as page:
        field = page.get_by_label("This service wants a key")
        for wrong, told in (("nobody's", "The key is wrong."), ("k“y", "A key has no such characters.")):
            field.fill(wrong)
            page.get_by_role("button", name="Use it").click()
            expect(page.get_by_role("status")).to_contain_text(told)
        field.fill(KEY)
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#samples img")).to_have_count(24)
        expect(field).to_be_hidden()
        page.locator("#generate summary").click()
        expect(page.locator("#generate pre")).to_contain_text("Authorization: Bearer YOUR-KEY")
        expect(page.locator("body")).not_to_contain_text(KEY)
