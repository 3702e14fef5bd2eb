"""The documentation page in a real browser, with every outside request refused."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.http.test_keys import USER, line

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM and "CI" not in os.environ, reason="no Chromium on this machine"
    ),
]

DIGITS = PRETRAINED / "digits" / "1" / "model.safetensors"
BREAST_CANCER = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"
PHONE = {"width": 390, "height": 844}

# What lies further right than the window, and in nothing that scrolls by itself.
BEYOND = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const box = element.getBoundingClientRect();
  if (!box.width || (box.right <= innerWidth + 1 && box.left >= 0)) return false;
  for (let outer = element.parentElement; outer; outer = outer.parentElement)
    if (outer !== document.body && getComputedStyle(outer).overflowX !== "visible")
      return false;
  return true;
}).map((element) => element.outerHTML.slice(0, 100))"""

UNREACHABLE = """() => [...document.querySelectorAll("button, select, textarea")]
  .map((element) => [element.className, element.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.left < 0 || box.right > innerWidth))
  .map(([name]) => name)"""

# The colours are those of the scheme, and no longer on their way there.
SETTLED = """async () => {
  await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
  await Promise.allSettled(document.getAnimations().map((each) => each.finished));
}"""

# The lowest contrast of any text with what is behind it (WCAG 2, section 1.4.3).
LOWEST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, under) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((i) => alpha * top[i] + (1 - alpha) * under[i]);
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    return over(
      parse(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  const light = (color) => {
    const [r, g, b] = color.map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let lowest = [21, ""];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (!walker.currentNode.data.trim() || !box.width || element.closest("script"))
      continue;
    const back = behind(element);
    const [a, b] = [light(over(parse(style.color), back)), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, element.outerHTML.slice(0, 200)];
  }
  return lowest;
}"""


class Visit(NamedTuple):
    """A page that is open, and what the browser asked for and complained of."""

    page: Page
    requested: list[str]
    complaints: list[str]

    def open(self, path: str) -> Locator:
        """Unfold an operation."""
        operation = self.page.locator(f'.opblock:has([data-path="{path}"])').first
        operation.locator(".opblock-summary-control").click()
        operation.locator(".execute").wait_for()
        return operation


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all visits, each of which begins as if it had just been installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser, address: str, key: str = "", **options: Any
) -> Iterator[Visit]:
    """Open the page; afterwards the browser must have had nothing to complain of."""
    page = browser.new_page(**options)
    seen = Visit(page, [], [])
    page.set_default_timeout(20_000)
    page.on("request", lambda request: seen.requested.append(request.url))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            seen.complaints.append(message.text)
            if message.type in ("error", "warning")
            else None
        ),
    )
    try:
        page.goto(f"{address}/")
        if key:
            page.click("button.authorize")
            page.fill("#auth-bearer-value, .auth-container input", key)
            page.click(".auth-btn-wrapper button.authorize")
            page.click(".auth-btn-wrapper button.btn-done")
        page.wait_for_selector(".opblock")
        yield seen
    except Error as error:
        raise AssertionError(f"{error}\n{page.inner_text('body')[:2000]}") from None
    finally:
        page.close()
    assert not seen.complaints


def execute(operation: Locator) -> tuple[str, str]:
    """Send the request of an operation; return the status and the body."""
    clear = operation.locator(".btn-clear")
    if clear.count():
        clear.click()  # else an answer from before would be read
    operation.locator(".execute").click()
    answer = operation.locator(".live-responses-table tbody")
    status = answer.locator(".response-col_status").inner_text().split()[0]
    return status, answer.locator(".highlight-code").first.inner_text()


def try_sigmoid(browser: Browser, address: str) -> list[str]:
    """Open the page, try the sigmoid, and return what the browser asked for."""
    with visit(browser, address) as seen:
        answers_sigmoid(seen)
    return seen.requested


def answers_sigmoid(seen: Visit) -> None:
    status, body = execute(seen.open("/sigmoid"))
    assert status == "200"
    assert "0.26894143" in body


class Proxy(BaseHTTPRequestHandler):
    """Hands on what comes below a prefix, which it strips or not."""

    prefix = "/api"
    port = 0
    strips = True

    def hand_on(self) -> None:
        if not self.path.startswith(f"{self.prefix}/"):
            self.send_error(404)
            return
        path = self.path.removeprefix(self.prefix) if self.strips else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answered = httpx.request(
            self.command,
            f"http://127.0.0.1:{self.port}{path}",
            content=body,
            headers={
                name: value
                for name in ("Content-Type", "Accept", "Authorization")
                if (value := self.headers.get(name))
            },
        )
        self.send_response(answered.status_code)
        for name in ("Content-Type", "Location"):
            if name in answered.headers:
                self.send_header(name, answered.headers[name])
        self.end_headers()
        self.wfile.write(answered.content)

    do_GET = do_POST = hand_on

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def behind_proxy(client: httpx.Client, *, strips: bool) -> Iterator[str]:
    handler = type(
        "Handler", (Proxy,), {"port": client.base_url.port, "strips": strips}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}{Proxy.prefix}"
        finally:
            proxy.shutdown()
            thread.join()


def test_the_page_behind_a_proxy_that_strips_a_prefix(
    client: httpx.Client, browser: Browser
) -> None:
    with behind_proxy(client, strips=True) as address:
        requested = try_sigmoid(browser, address)
        assert f"{address}/sigmoid" in requested
    assert not [url for url in requested if not url.startswith((address, "data:"))]


def test_the_page_below_a_prefix_that_no_proxy_strips(browser: Browser) -> None:
    with (
        serve(Settings(root_path=Proxy.prefix)) as client,
        behind_proxy(client, strips=False) as address,
    ):
        requested = try_sigmoid(browser, address)
        assert f"{address}/sigmoid" in requested
        # Whoever asks without a proxy in between needs no prefix.
        for path in ("/models", "/api/models", "/sigmoid", "/api/sigmoid"):
            method = "GET" if "models" in path else "POST"
            asked = client.request(method, path, json={"inputs": 0})
            assert asked.status_code == 200
        assert client.get("/apimodels").status_code == 404
        assert client.get("/api").headers["location"] == "/api/docs"
    assert not [url for url in requested if not url.startswith((address, "data:"))]


# Opened with one scheme, and gone over to the other.
@pytest.mark.parametrize(
    ("schemes", "size"),
    [
        (("dark", "light"), PHONE),
        (("light", "dark"), {"width": 1280, "height": 900}),
    ],
)
def test_the_page_is_readable(
    client: httpx.Client,
    browser: Browser,
    schemes: tuple[Literal["dark", "light"], ...],
    size: dict[str, int],
) -> None:
    address = str(client.base_url).rstrip("/")
    with visit(browser, address, color_scheme=schemes[0], viewport=size) as seen:
        page = seen.page
        assert is_dark(page) == (schemes[0] == "dark")
        for path in ("/predict", "/models/{name}/predict", "/sigmoid"):
            assert execute(seen.open(path))[0] == "200"
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.evaluate(SETTLED)
            assert is_dark(page) == (scheme == "dark")
            ratio, text = page.evaluate(LOWEST)
            assert ratio >= 4.5, (ratio, text)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], page.evaluate(BEYOND)
            assert page.evaluate(BEYOND) == []
            assert page.evaluate(UNREACHABLE) == []


def is_dark(page: Page) -> bool:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    return bool(page.evaluate(background) == "rgb(28, 32, 34)")


def test_an_error_is_shown_as_any_answer(
    client: httpx.Client, browser: Browser
) -> None:
    with visit(browser, str(client.base_url).rstrip("/"), viewport=PHONE) as seen:
        operation = seen.open("/predict")
        operation.locator("textarea").fill('{"inputs": [1, "2"]}')
        status, body = execute(operation)
        assert status == "422"
        assert '"/inputs/1"' in body
        # The browser itself notes that; it is the only thing that it notes.
        assert ["422" in each for each in seen.complaints] == [True]
        seen.complaints.clear()
        assert seen.page.evaluate(BEYOND) == []


def test_the_examples_follow_the_model(browser: Browser, tmp_path: Path) -> None:
    for place, model in (("one/3", DIGITS), ("two/5", BREAST_CANCER)):
        shutil.copytree(model.parent, tmp_path / place)
    with (
        serve(Settings(), [tmp_path]) as client,
        visit(browser, str(client.base_url).rstrip("/")) as seen,
    ):
        operation = seen.open("/models/{name}/versions/{version}/predict")
        name, version = (
            operation.locator(f"tr[data-param-name={each}]")
            for each in ("name", "version")
        )
        examples = operation.locator(".opblock-section-request-body select").last
        examples.select_option("two: row")
        assert name.locator("input").input_value() == "two"
        assert version.locator("input").input_value() == "5"
        status, body = execute(operation)
        assert (status, '"model": "two"' in body) == ("200", True)
        name.locator("select").select_option("one")
        assert examples.input_value() == "one: row"
        assert version.locator("input").input_value() == "3"
        status, body = execute(operation)
        assert (status, '"model": "one"' in body) == ("200", True)
        # What the reader wrote stays.
        operation.locator("textarea").fill('{"inputs": [[]]}')
        name.locator("select").select_option("two")
        assert operation.locator("textarea").input_value() == '{"inputs": [[]]}'


def test_who_shows_a_key_sees_examples_of_everything(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    with serve(Settings(api_keys_file=path)) as client:
        address = str(client.base_url).rstrip("/")
        with visit(browser, address) as seen:
            assert "digits" not in seen.open("/models/{name}/predict").inner_text()
        with visit(browser, address, USER) as seen:
            operation = seen.open("/models/{name}/predict")
            examples = operation.locator(".opblock-section-request-body select").last
            examples.select_option("digits: row")
            assert execute(operation)[0] == "200"
            answers_sigmoid(seen)
    assert any(url.endswith("/sigmoid") for url in seen.requested)
