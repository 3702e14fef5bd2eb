"""The documentation page in a real browser, with every outside request refused."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.http.pages.browsing import (
    BEYOND,
    DESKTOP,
    IN_BROWSER,
    LOWEST,
    PHONE,
    SETTLED,
    UNREACHABLE,
    violations,
)
from tests.http.pages.browsing import visit as visit_page
from tests.http.pages.proxy import Proxy, behind_proxy
from tests.http.test_keys import USER, line

pytestmark = IN_BROWSER

DIGITS = PRETRAINED / "digits" / "1" / "model.safetensors"
BREAST_CANCER = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"


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


@contextmanager
def visit(
    browser: Browser, address: str, key: str = "", **options: Any
) -> Iterator[Visit]:
    """Open the documentation, and show a key."""
    with visit_page(browser, f"{address}/docs", **options) as seen:
        page = seen.page
        if key:
            page.click("button.authorize")
            page.fill("#auth-bearer-value, .auth-container input", key)
            page.click(".auth-btn-wrapper button.authorize")
            page.click(".auth-btn-wrapper button.btn-done")
        page.wait_for_selector(".opblock")
        yield Visit(*seen)


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
        assert client.get("/api").status_code == 200
    assert not [url for url in requested if not url.startswith((address, "data:"))]


# Opened with one scheme, and gone over to the other.
@pytest.mark.parametrize(
    ("schemes", "size"),
    [
        (("dark", "light"), PHONE),
        (("light", "dark"), DESKTOP),
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
        # One visit tells; what differs between the schemes are colours, checked above.
        if size == PHONE:
            assert violations(page) == []


def is_dark(page: Page) -> bool:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    return bool(page.evaluate(background) == "rgb(28, 32, 34)")


def test_an_error_is_shown_as_any_answer(
    client: httpx.Client, browser: Browser
) -> None:
    # The browser itself notes that; it is the only thing that it notes.
    address = str(client.base_url).rstrip("/")
    with visit(browser, address, expected=["422"], viewport=PHONE) as seen:
        operation = seen.open("/predict")
        operation.locator("textarea").fill('{"inputs": [1, "2"]}')
        status, body = execute(operation)
        assert status == "422"
        assert '"/inputs/1"' in body
        assert len(seen.complaints) == 1
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
