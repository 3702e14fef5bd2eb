"""A real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.http.pages.browsing import CHROMIUM, FLAGS


# Not for the whole session: its event loop would be in the way of others.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all visits, each of which begins as if it had just been installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
