"""What holds for the whole page: its policy, weight and readability, and prefixes."""

from typing import Final, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.http.pages.browsing import (
    BEYOND,
    DESKTOP,
    IN_BROWSER,
    LOWEST,
    PHONE,
    SETTLED,
    Visit,
    violations,
    visit,
)
from tests.http.pages.proxy import Proxy, behind_proxy
from tests.http.pages.test_code import check_programs

pytestmark = IN_BROWSER

MAX_BYTES: Final = 150_000
MAX_REQUESTS: Final = 40
SHOWN: Final = "#bars [data-probability]"

# What someone would add who can write into the page. It tells what ran, and what the
# policy refused.
ATTACK: Final = """async (elsewhere) => {
  window.ran = [];
  const refused = new Set();
  document.addEventListener("securitypolicyviolation", (event) =>
    refused.add(event.effectiveDirective));
  const script = document.createElement("script");
  script.textContent = "ran.push('script')";
  const foreign = document.createElement("script");
  foreign.src = `${elsewhere}/script.js`;
  document.body.append(script, foreign);
  document.body.insertAdjacentHTML("beforeend", `
    <a href="javascript:ran.push('link')" id="attack">x</a>
    <img src="data:," onerror="ran.push('handler')">
    <img src="${elsewhere}/image.png">
    <iframe src="${elsewhere}/frame"></iframe>`);
  document.querySelector("#attack").click();
  await fetch(elsewhere).then(() => ran.push("fetch"), () => {});
  await new Promise((go) => setTimeout(go, 100));
  return [ran, [...refused].sort()];
}"""

WEIGHT: Final = """() => ["navigation", "resource"]
  .flatMap((type) => performance.getEntriesByType(type))
  .map(({ encodedBodySize }) => encodedBodySize)"""


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_nothing_from_elsewhere_runs(
    client: httpx.Client, browser: Browser, path: str
) -> None:
    elsewhere = "http://127.0.0.1:1"
    # The browser notes each, and nothing else; none of them is sent.
    noted = ["Content Security Policy"]
    with visit(browser, str(client.base_url.join(path)), noted) as seen:
        seen.page.wait_for_selector(f"{SHOWN}, .opblock")
        ran, refused = seen.page.evaluate(ATTACK, elsewhere)
        assert ran == []
        assert refused == [
            *("connect-src", "frame-src", "img-src"),
            *("script-src-attr", "script-src-elem"),
        ]
        sent = [each for each in seen.requested if not each.startswith(elsewhere)]
        seen.requested[:] = sent


def test_a_first_visit_is_light(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, str(client.base_url), viewport=DESKTOP) as seen:
        seen.page.wait_for_selector("#curves svg")
        seen.page.wait_for_load_state("networkidle")
        weights = seen.page.evaluate(WEIGHT)
        assert sum(weights) < MAX_BYTES
        assert len(weights) <= MAX_REQUESTS
        modules = [each for each in seen.requested if each.endswith(".js")]
        assert len(modules) == len(set(modules))


@pytest.mark.parametrize(
    ("scheme", "size", "model"),
    [
        ("light", PHONE, "digits"),
        ("dark", DESKTOP, "breast-cancer"),
    ],
    ids=["phone", "desktop"],
)
def test_everyone_can_use_the_page(
    client: httpx.Client,
    browser: Browser,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    model: str,
) -> None:
    other: Literal["light", "dark"] = "dark" if scheme == "light" else "light"
    address = str(client.base_url)
    with visit(browser, address, color_scheme=scheme, viewport=size) as seen:
        page = seen.page
        page.wait_for_selector(SHOWN)
        page.select_option("#model", model)
        page.wait_for_selector("#curves svg")
        for tab, drawn in TABS.items():
            page.get_by_role("tab", name=tab).click()
            page.wait_for_selector(drawn)
            assert violations(page) == []
            check_readable(page, size)
            # Only colours differ between the schemes.
            page.emulate_media(color_scheme=other)
            assert violations(page, "color-contrast") == []
            check_readable(page, size)
            page.emulate_media(color_scheme=scheme)


# What each tab shows last.
TABS: Final = {
    "Predict": "#curves svg",
    "Sigmoid": "#elements svg",
    "Live": "#live svg",
}


def check_readable(page: Page, size: dict[str, int]) -> None:
    page.evaluate(SETTLED)
    ratio, text = page.evaluate(LOWEST)
    assert ratio >= 4.5, (ratio, text)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"], page.evaluate(BEYOND)
    assert page.evaluate(BEYOND) == []


def test_the_page_behind_a_proxy_that_strips_a_prefix(
    client: httpx.Client, browser: Browser
) -> None:
    with behind_proxy(client, strips=True) as address:
        check_the_page_below(address, browser)


def test_the_page_below_a_prefix_that_no_proxy_strips(browser: Browser) -> None:
    with (
        serve(Settings(root_path=Proxy.prefix)) as client,
        behind_proxy(client, strips=False) as address,
    ):
        check_the_page_below(address, browser)


def check_the_page_below(address: str, browser: Browser) -> None:
    """Use every part of the page; all that it asks for is below the address."""
    with visit(browser, f"{address}/") as seen:
        check_parts(seen)
        seen.page.get_by_role("link", name="API").click()
        seen.page.wait_for_selector(".opblock")
        assert seen.page.url == f"{address}/docs"
    asked = [each for each in seen.requested if not each.startswith("data:")]
    assert all(each.startswith(f"{address}/") for each in asked)


def check_parts(seen: Visit) -> None:
    page = seen.page
    page.wait_for_selector("#curves svg")
    for program in check_programs(page, "breast-cancer"):
        assert Proxy.prefix in program
    page.get_by_role("tab", name="Sigmoid").click()
    page.get_by_text("0.26894143").first.wait_for()
    page.get_by_role("tab", name="Live").click()
    page.wait_for_selector(TABS["Live"])


def test_without_the_page_readers_come_to_the_documentation(browser: Browser) -> None:
    with (
        serve(Settings(page=False)) as client,
        visit(browser, str(client.base_url)) as seen,
    ):
        seen.page.wait_for_selector(".opblock")
        assert seen.page.url == client.base_url.join("/docs")
