"""The documentation page in a real browser, with every outside request refused."""

import os
import shutil
from typing import Any

import httpx
import pytest
from playwright.sync_api import Error, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.mark.browser
@pytest.mark.skipif(
    not CHROMIUM and "CI" not in os.environ, reason="no Chromium on this machine"
)
def test_the_page_tries_a_request_and_asks_nothing_of_the_outside(
    client: httpx.Client,
) -> None:
    requested: list[str] = []
    problems: list[Any] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: problems.append(error))  # noqa: PLW0108
        try:
            page.goto(f"{client.base_url}/docs")
            page.click("#operations-inference-sigmoid_sigmoid_post .opblock-summary")
            page.click("#operations-inference-sigmoid_sigmoid_post .execute")
            page.wait_for_selector("text=0.26894143", timeout=20_000)
            page.wait_for_selector(".live-responses-table", timeout=20_000)
        except Error as error:
            raise AssertionError(f"{error}\n{page.inner_text('body')[:2000]}") from None
        finally:
            screenshot = os.environ.get("DOCS_SCREENSHOT")
            if screenshot:
                page.screenshot(path=screenshot)
            browser.close()
    assert not problems
    assert len(requested) >= 5
    outside = [url for url in requested if not url.startswith(str(client.base_url))]
    assert [url for url in outside if not url.startswith("data:")] == []
