"""What tests of the Predict tab do with it, and look for."""

from typing import Any, Final

import httpx
from playwright.sync_api import Page

# One prediction is shown, and the curves that follow it are drawn or explained.
BARS: Final = "#bars [data-probability]"
CURVES: Final = "#curves figure"

# The numbers are those of the answer, digit by digit.
SHOWN: Final = """(expected) => {
  const bars = [...document.querySelectorAll("#bars:not(.stale) [data-probability]")];
  return bars.length === expected.length
    && bars.every((bar, i) => bar.dataset.probability === String(expected[i]));
}"""


def address(client: httpx.Client) -> str:
    return f"{client.base_url}/"


def row_of(page: Page) -> list[float]:
    """Read the numbers of the form."""
    return [
        float(text)
        for text in page.eval_on_selector_all(
            "[id^=feature-]", "(all) => all.map(({ value }) => value)"
        )
    ]


def shows(page: Page, client: httpx.Client, model: str, version: str = "1") -> Any:
    """Wait until the bars are those of the form's row; return the direct answer."""
    path = f"/models/{model}/versions/{version}/predict"
    said = client.post(path, json={"inputs": row_of(page)}).json()
    page.wait_for_function(SHOWN, arg=said["probabilities"])
    return said


def choose(page: Page, model: str) -> None:
    page.select_option("#model", model)
    page.wait_for_selector("#bars:not(.stale) [data-probability]")


def paste(page: Page, text: str) -> None:
    page.click("text=Paste…")
    page.fill("#paste", text)
    page.click("dialog >> text=Use")
