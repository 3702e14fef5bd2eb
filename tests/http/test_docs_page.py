"""The documentation page in a real browser, with every outside request refused."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Error, sync_playwright

from sigmoid_serve.configuration.settings import Settings
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

SIGMOID = "#operations-inference-sigmoid"


def try_sigmoid(address: str, key: str = "", screenshot: str = "") -> list[str]:
    """Open the page, try the sigmoid, and return what the browser asked for."""
    requested: list[str] = []
    problems: list[Any] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: problems.append(error))  # noqa: PLW0108
        try:
            page.goto(f"{address}/")
            if key:
                page.click("button.authorize")
                page.fill("#auth-bearer-value, .auth-container input", key)
                page.click(".auth-btn-wrapper button.authorize")
                page.click(".auth-btn-wrapper button.btn-done")
            page.click(f"{SIGMOID} .opblock-summary")
            page.click(f"{SIGMOID} .execute")
            page.wait_for_selector("text=0.26894143", timeout=20_000)
            page.wait_for_selector(".live-responses-table", timeout=20_000)
        except Error as error:
            raise AssertionError(f"{error}\n{page.inner_text('body')[:2000]}") from None
        finally:
            if screenshot:
                page.screenshot(path=screenshot)
            browser.close()
    assert not problems
    return requested


def test_the_page_tries_a_request_and_asks_nothing_of_the_outside(
    client: httpx.Client,
) -> None:
    address = str(client.base_url).rstrip("/")
    requested = try_sigmoid(address, screenshot=os.environ.get("DOCS_SCREENSHOT", ""))
    assert len(requested) >= 5
    outside = [url for url in requested if not url.startswith(address)]
    assert [url for url in outside if not url.startswith("data:")] == []


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


def test_the_page_behind_a_proxy_that_strips_a_prefix(client: httpx.Client) -> None:
    with behind_proxy(client, strips=True) as address:
        requested = try_sigmoid(address)
        assert f"{address}/sigmoid" in requested
    assert not [url for url in requested if not url.startswith((address, "data:"))]


def test_the_page_below_a_prefix_that_no_proxy_strips() -> None:
    with (
        serve(Settings(root_path=Proxy.prefix)) as client,
        behind_proxy(client, strips=False) as address,
    ):
        requested = try_sigmoid(address)
        assert f"{address}/sigmoid" in requested
        # Whoever asks without a proxy in between needs no prefix.
        for path in ("/models", "/api/models", "/sigmoid", "/api/sigmoid"):
            method = "GET" if "models" in path else "POST"
            asked = client.request(method, path, json={"inputs": 0})
            assert asked.status_code == 200
        assert client.get("/apimodels").status_code == 404
        assert client.get("/api").headers["location"] == "/api/docs"
    assert not [url for url in requested if not url.startswith((address, "data:"))]


def test_the_page_asks_for_the_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    with serve(Settings(api_keys_file=path)) as client:
        requested = try_sigmoid(str(client.base_url).rstrip("/"), USER)
    assert any(url.endswith("/sigmoid") for url in requested)
