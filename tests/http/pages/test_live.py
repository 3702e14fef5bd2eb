"""The Live tab: what it reads from /metrics, and when it asks."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.http.pages.browsing import BEYOND, DESKTOP, IN_BROWSER, PHONE, Visit, visit
from tests.http.test_keys import USER, line

pytestmark = IN_BROWSER

LOST = "ERR_INTERNET_DISCONNECTED"

# What each panel says, and what its chart says to who does not see it.
PANELS = {
    "Requests per second": (r"20\d in the last minute", r"20\d in all"),
    "Latency": (r"(µs|ms) / [\d.]+ (µs|ms)", r"p50 [\d.]+ (µs|ms), p99"),
    "Rows per batch": (r"Mean of \d+ batches", r"\d+ of at most 1"),
    "Elements in flight": (
        r"^Elements in flight\d.*Beyond the limit, 67,108,864,",
        r"now \d+",
    ),
    "Worker processes": (r"^Worker processes1.*Processes", r"now 1\."),
    "Rejected": (r"^Rejected0.*Requests of the last minute", r"now 0\."),
}

HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

METRICS = """async ([before, after]) => {
  const metrics = await import("./assets/metrics.js");
  const { buckets, growth, parse, quantile, total } = metrics;
  const grown = growth(parse(before), parse(after));
  const counted = buckets(grown, "t");
  return {
    total: total(grown, "n_total"),
    one: total(grown, "n_total", ({ a }) => a === 'x"} 5\\n'),
    counted: counted.map(([bound, count]) => [String(bound), count]),
    quantiles: [0.25, 0.5, 0.99].map((part) => quantile(counted, part)),
  };
}"""


def polls(seen: Visit) -> int:
    """Count the requests for the metrics, once all that were due have been sent."""
    seen.page.evaluate("fetch('livez').then((response) => response.text())")
    return sum(url.endswith("/metrics") for url in seen.requested)


def predictions(client: httpx.Client) -> float:
    path = 'route="/models/{name}/versions/{version}/predict"'
    return sum(
        float(line.split()[-1])
        for line in client.get("/metrics").text.splitlines()
        if line.startswith('sigmoid_requests_total{code="200"') and path in line
    )


def test_what_it_shows(browser: Browser) -> None:
    with (
        serve(Settings()) as client,
        visit(browser, f"{client.base_url}/#live", [LOST], viewport=PHONE) as seen,
    ):
        page = seen.page
        live = page.locator("#live")
        expect(live.get_by_text("Beyond the limit")).to_be_visible()
        live.get_by_role("button", name="Send 200 requests").click()
        expect(live.get_by_role("status")).to_contain_text("no error")
        sent = [url for url in seen.requested if url.endswith("/predict")]
        assert predictions(client) == len(sent) >= 200
        for title, (text, label) in PANELS.items():
            panel = live.get_by_role("region", name=title)
            expect(panel).to_contain_text(re.compile(text))
            chart = panel.get_by_role("img")
            expect(chart).to_have_attribute("aria-label", re.compile(label))
        assert page.evaluate(BEYOND) == []
        page.context.set_offline(True)
        lost = live.get_by_text("no answer: is the server running?")
        expect(lost).to_be_visible()
        page.context.set_offline(False)
        expect(lost).to_be_hidden()


def test_it_asks_only_while_it_is_seen(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, str(client.base_url), viewport=DESKTOP) as seen:
        page = seen.page
        page.clock.install()
        tabs = {
            name: page.get_by_role("tab", name=name) for name in ("Predict", "Live")
        }
        expect(page.locator("#model")).to_have_value("breast-cancer")
        assert polls(seen) == 0
        with page.expect_response("**/metrics"):
            tabs["Live"].click()
        expect(page.locator("#live-workers")).to_be_visible()
        with page.expect_response("**/metrics"):
            page.clock.fast_forward(1000)
        for leave, come_back in (
            (tabs["Predict"].click, tabs["Live"].click),
            (lambda: page.evaluate(HIDE, True), lambda: page.evaluate(HIDE, False)),
        ):
            leave()
            count = polls(seen)
            page.clock.fast_forward(10_000)
            assert polls(seen) == count
            with page.expect_response("**/metrics"):
                come_back()


def test_it_asks_for_a_key(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    with (
        serve(Settings(api_keys_file=path)) as client,
        visit(browser, f"{client.base_url}/#live", ["401"]) as seen,
    ):
        page = seen.page
        live = page.locator("#live")
        expect(live.get_by_role("alert")).to_contain_text("give it above")
        page.clock.install()
        count = polls(seen)
        page.clock.fast_forward(10_000)
        assert polls(seen) == count == 1
        page.fill("#key", USER)
        page.keyboard.press("Enter")
        expect(live.locator("#live-workers")).to_contain_text("1")
        expect(live.locator(".wrong")).to_be_empty()
        expect(page.locator("#model")).to_have_value("breast-cancer")
        live.get_by_role("button", name="Send 200 requests").click()
        expect(live.get_by_role("status")).to_contain_text("no error")


def histogram(*counts: float) -> str:
    bounds = ("0.1", "0.2", "+Inf")
    return "".join(
        f't_bucket{{a="{a}",le="{le}"}} {count}\n'
        for a in "pq"
        for le, count in zip(bounds, counts, strict=True)
    )


def test_counters_that_went_back_began_again(
    client: httpx.Client, browser: Browser
) -> None:
    first = 'n_total{a="x\\"} 5\\n"} 5.0\nn_total{a="y"} 7.0\n# HELP n_total 3\n'
    with visit(browser, str(client.base_url)) as seen:

        def grown(before: str, after: str) -> dict[str, object]:
            found: dict[str, object] = seen.page.evaluate(METRICS, [before, after])
            return found

        later = first.replace("5.0", "9.0").replace("7.0", "8.5")
        assert grown(first + histogram(1, 2, 2), later + histogram(2, 3, 4)) == {
            "total": 5.5,
            "one": 4,
            "counted": [["0.1", 2], ["0.2", 0], ["Infinity", 2]],
            "quantiles": [0.05, 0.1, 0.2],
        }
        # After a restart all of them count, even those that are beyond what they were.
        again = first.replace("5.0", "2.0").replace("7.0", "8.0")
        assert grown(first, again)["total"] == 10
        assert grown(first, first) == {
            "total": 0,
            "one": 0,
            "counted": [],
            "quantiles": [None] * 3,
        }
