"""The grid to draw a digit on: by mouse, by touch and by keyboard."""

import math

import httpx
from playwright.sync_api import Browser, Locator, Page, expect

from tests.http.pages.browsing import DESKTOP, IN_BROWSER, PHONE, visit

pytestmark = IN_BROWSER

ROW = "async () => (await import('./assets/state.js')).row.get()"

# Points of strokes, as parts of the width and the height.
ONE = [(0.55, 0.06), (0.55, 0.94)]
ZERO = [
    (0.5 + 0.22 * math.sin(turn), 0.5 - 0.42 * math.cos(turn))
    for turn in (math.tau * step / 24 for step in range(25))
]


def choose_digits(page: Page) -> Locator:
    page.select_option("#model", "digits")
    page.get_by_role("grid", name="Digit").wait_for()
    return page.locator("#digits")


def draw(page: Page, grid: Locator, stroke: list[tuple[float, float]]) -> None:
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box
    for step, (x, y) in enumerate(stroke):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not step:
            page.mouse.down()
    page.mouse.up()


def answers(page: Page, client: httpx.Client, label: str) -> list[float]:
    """Wait until the page says the label of the row, and return the row."""
    expect(page.locator("#bars .verdict")).to_contain_text(f"probability of {label}")
    row: list[float] = page.evaluate(ROW)
    said = client.post("/models/digits/predict", json={"inputs": row}).json()
    assert said["labels"] == label
    return row


def test_drawing_by_mouse(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, str(client.base_url), viewport=DESKTOP) as seen:
        page = seen.page
        expect(page.locator("#form input").first).to_be_visible()
        assert page.locator("#digits").is_hidden()
        digits = choose_digits(page)
        grid = digits.get_by_role("grid")
        pixels = grid.get_by_role("gridcell")
        assert pixels.count() == 64
        clear = digits.get_by_role("button", name="Clear")
        for label, stroke in (("1", ONE), ("0", ZERO)):
            clear.click()
            assert page.evaluate(ROW) == [0] * 64
            draw(page, grid, stroke)
            row = answers(page, client, label)
            assert max(row) == 16
            assert all(0 <= value <= 16 and value == int(value) for value in row)
            shown = [each.get_attribute("aria-label") for each in pixels.all()]
            assert shown == [
                f"row {i // 8 + 1}, column {i % 8 + 1}: {value}"
                for i, value in enumerate(row)
            ]
            assert page.input_value("#feature-20") == str(row[20])
        # Without the button held, and with another one, nothing is drawn.
        grid.hover(position={"x": 5, "y": 5})
        grid.click(button="right", position={"x": 5, "y": 5})
        assert page.evaluate(ROW) == row
        examples = client.get("/models/digits").json()["examples"]
        digits.get_by_role("button", name="Random digit").click()
        assert page.evaluate(ROW) in examples


def test_the_keyboard_and_the_form(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, str(client.base_url), viewport=DESKTOP) as seen:
        page = seen.page
        digits = choose_digits(page)
        digits.get_by_role("button", name="Clear").click()
        pixels = digits.get_by_role("gridcell")
        pixels.first.focus()
        # At the edge the focus stays.
        for key in ("ArrowUp", "ArrowLeft", "ArrowRight", "ArrowDown", "ArrowDown"):
            page.keyboard.press(key)
        for key, value in (("Space", 8), ("Enter", 16), ("Space", 0), ("Space", 8)):
            page.keyboard.press(key)
            row = [0] * 64
            row[17] = value
            assert page.evaluate(ROW) == row
            expect(page.locator(":focus")).to_have_attribute(
                "aria-label", f"row 3, column 2: {value}"
            )
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowUp")
        expect(page.locator(":focus")).to_have_attribute(
            "aria-label", "row 2, column 1: 0"
        )
        page.fill("#feature-20", "12")
        expect(pixels.nth(20)).to_have_attribute("aria-label", "row 3, column 5: 12")
        draw(page, digits.get_by_role("grid"), [(0.56, 0.31)] * 2)
        row = page.evaluate(ROW)
        assert row[20] == 16
        assert row[17] == 8


def test_drawing_by_touch(client: httpx.Client, browser: Browser) -> None:
    with visit(
        browser, str(client.base_url), viewport=PHONE, has_touch=True, is_mobile=True
    ) as seen:
        page = seen.page
        digits = choose_digits(page)
        digits.get_by_role("button", name="Clear").tap()
        box = digits.get_by_role("grid").bounding_box()
        assert box
        touch = page.context.new_cdp_session(page)
        kinds = ["touchStart", *["touchMove"] * (len(ONE) - 1)]
        for kind, (x, y) in zip(kinds, ONE, strict=True):
            point = {
                "x": box["x"] + x * box["width"],
                "y": box["y"] + y * box["height"],
            }
            touch.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]}
            )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        answers(page, client, "1")
        assert page.evaluate("scrollY") == 0
