"""Pages in a real browser, with every outside request refused."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Error, Page

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")

FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other host is found, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

IN_BROWSER: Final = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM and "CI" not in os.environ, reason="no Chromium on this machine"
    ),
]
"""Marks of modules whose tests need it."""

PHONE: Final = {"width": 390, "height": 844}
DESKTOP: Final = {"width": 1280, "height": 900}

# What lies further right than the window, and in nothing that scrolls by itself.
BEYOND: Final = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const box = element.getBoundingClientRect();
  if (!box.width || (box.right <= innerWidth + 1 && box.left >= 0)) return false;
  for (let outer = element.parentElement; outer; outer = outer.parentElement)
    if (outer !== document.body && getComputedStyle(outer).overflowX !== "visible")
      return false;
  return true;
}).map((element) => element.outerHTML.slice(0, 100))"""

UNREACHABLE: Final = """() => [...document.querySelectorAll("button, select, textarea")]
  .map((element) => [element.className, element.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.left < 0 || box.right > innerWidth))
  .map(([name]) => name)"""

# The colours are those of the scheme, and no longer on their way there.
SETTLED: Final = """async () => {
  await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
  await Promise.allSettled(document.getAnimations().map((each) => each.finished));
}"""

# The lowest contrast of any text with what is behind it (WCAG 2, section 1.4.3).
LOWEST: Final = """() => {
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

# What axe-core finds; with rules, only what these find.
VIOLATIONS: Final = """async (rules) => {
  const options = { resultTypes: ["violations"] };
  if (rules.length) options.runOnly = { type: "rule", values: rules };
  const { violations } = await axe.run(document, options);
  const start = ({ html }) => html.slice(0, 200);
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => [id, nodes.slice(0, 5).map(start)]);
}"""


class Visit(NamedTuple):
    """A page that is open, and what the browser asked for and complained of."""

    page: Page
    requested: list[str]
    complaints: list[str]


@contextmanager
def visit(
    browser: Browser, url: str, expected: Sequence[str] = (), **options: Any
) -> Iterator[Visit]:
    """Open a page; afterwards the browser must have had nothing to complain of.

    It may have asked for nothing but what is served from the same address.

    Args:
        browser: Opens it, as if it had just been installed.
        url: Of the page.
        expected: Parts of what the browser may complain of, such as the status of
            requests that are refused, of which it notes each.
        options: Of Playwright's `new_page`, such as `viewport` and `color_scheme`.
    """
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
        page.goto(url)
        yield seen
    except Error as error:
        raise AssertionError(f"{error}\n{page.inner_text('body')[:2000]}") from None
    finally:
        page.close()
    others = [
        each for each in seen.complaints if not any(part in each for part in expected)
    ]
    assert not others, others
    origin = "/".join(url.split("/")[:3])
    allowed = (f"{origin}/", "data:", "blob:")
    assert not [each for each in seen.requested if not each.startswith(allowed)]


def violations(page: Page, *rules: str) -> list[list[object]]:
    """Have axe-core look for what keeps people from using a page.

    Args:
        page: As it is now.
        rules: To look for these alone.

    Returns:
        What is serious or critical: the rule, and where it is violated.
    """
    page.evaluate(SETTLED)
    page.evaluate(_axe())
    found: list[list[object]] = page.evaluate(VIOLATIONS, list(rules))
    return found


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
