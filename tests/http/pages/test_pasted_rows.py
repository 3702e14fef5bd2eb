"""Rows that are pasted, dropped or chosen as a file, in the shapes that people have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.http.pages.browsing import DESKTOP, IN_BROWSER, visit
from tests.http.pages.predicting import BARS, address, paste, row_of, shows

pytestmark = IN_BROWSER

# What lies in a file that is dropped.
DROP: Final = """([name, text]) => {
  const files = new DataTransfer();
  files.items.add(new File([text], name));
  for (const kind of ["dragover", "drop"])
    document.body.dispatchEvent(
      new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    """Calls a server of the shipped models, without the limits of others."""
    with serve(Settings()) as client:
        yield client


def test_rows_are_pasted_dropped_and_chosen(
    server: httpx.Client, browser: Browser, tmp_path: Path
) -> None:
    card = server.get("/models/breast-cancer").json()
    names, rows = card["feature_names"], card["examples"]
    backwards = ",".join(reversed(names)) + ",diagnosis"
    lines = [",".join([*map(str, reversed(row)), "?"]) for row in rows[:3]]
    with visit(browser, address(server), viewport=DESKTOP) as seen:
        page = seen.page
        page.wait_for_selector(BARS)
        for text in (
            json.dumps({"inputs": rows[1]}),
            json.dumps(dict(zip(names, rows[2], strict=True))),
            ";".join(str(each).replace(".", ",") for each in rows[3]),
        ):
            paste(page, text)
            expect(page.locator("dialog")).to_be_hidden()
            assert row_of(page) in rows[1:4]
            shows(page, server, "breast-cancer")
        assert row_of(page) == rows[3]
        assert page.locator("#rows").count() == 0

        page.evaluate(DROP, ["rows.csv", "\n".join([backwards, *lines])])
        page.wait_for_selector("#rows")
        assert "“diagnosis”" in page.inner_text("#batch")
        said = server.post("/predict", json={"inputs": rows[:3]}).json()
        shown = page.locator("#rows tbody tr")
        assert shown.count() == 3
        for i, label in enumerate(said["labels"]):
            assert shown.nth(i).locator("td").nth(1).inner_text() == label
            number = float(shown.nth(i).locator("td").nth(2).inner_text())
            assert number == pytest.approx(said["probabilities"][i][0], rel=1e-2)
        assert row_of(page) == rows[0]
        shown.nth(2).click()
        assert row_of(page) == rows[2]
        shown.nth(1).locator("button").press("Enter")
        assert row_of(page) == rows[1]
        assert page.locator("#rows .chosen").count() == 1

        # Longer than what is shown; from a file that is chosen.
        path = tmp_path / "long.json"
        path.write_text(json.dumps([rows[0]] * 1001))
        page.click("text=Paste…")
        page.set_input_files("#file", path)
        expect(page.locator("#batch")).to_contain_text("first 1,000 of 1,001 rows")
        expect(page.locator("#rows tbody tr")).to_have_count(1000)
        page.click("#batch >> text=Close")
        assert page.locator("#batch").is_hidden()

        # A mistake is said where it was made.
        page.evaluate(DROP, ["rows.csv", "mean radius\n1"])
        expect(page.locator("#paste-problem")).to_contain_text("lacks these features")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        check_texts(page)


NAMED: Final = {"features": 3, "feature_names": ["a", "b c", 'd"e']}
UNNAMED: Final = {"features": 2, "feature_names": None}

READ: Final[list[tuple[str, dict[str, Any], Any]]] = [
    ("1,2,3", NAMED, [[1, 2, 3]]),
    ("\n1\t2\t3\r\n4\t5\t6\r", NAMED, [[1, 2, 3], [4, 5, 6]]),
    ("1,5;2;-3e2", NAMED, [[1.5, 2, -300]]),
    ("1,2;3", UNNAMED, [[1.2, 3]]),
    ('\ufeff"b c","d""e",a\n1, 2 ,"3"\n\n4,5,6', NAMED, [[3, 1, 2], [6, 4, 5]]),
    ('"n\n""m""",a,b c,"d""e"\n"q,\n",1,2,3', NAMED, [[1, 2, 3]]),
    ("u,v\n1,2", UNNAMED, [[1, 2]]),
    ("[[[1,2]],[[3,4]]]", UNNAMED, [[1, 2], [3, 4]]),
    ('[{"d\\"e":3,"b c":2,"a":1}]', NAMED, [[1, 2, 3]]),
    ('{"inputs":{"a":1,"b c":2,"d\\"e":3}}', NAMED, [[1, 2, 3]]),
    ("", NAMED, "There is no text"),
    ("[1,2", UNNAMED, "This is not JSON"),
    ("[1,null]", UNNAMED, "“feature 1”: expected a number, got “null”."),
    ("[[1,2],[1]]", UNNAMED, "Row 2: the model takes 2 features, got 1."),
    ("[" * 40 + "]" * 40, UNNAMED, "Lists may be 32 deep at most."),
    ('{"inputs":5}', UNNAMED, "Expected a list of numbers or a record, got “5”."),
    ('{"a":1}', NAMED, 'These features are missing: “b c”, “d"e”.'),
    ('{"a":1}', UNNAMED, "The model does not name its features"),
    ('{"a":1,"b c":2,"d\\"e":3,"z":4}', NAMED, "The model has no such features: “z”."),
    ("1,2\n3,x", UNNAMED, "Line 2, “feature 1”: expected a number, got “x”."),
    ("1,", UNNAMED, "Line 1, “feature 1”: expected a number, got nothing."),
    ("1,2,3", UNNAMED, "Line 1 has 3 values, but the model takes 2 features; a header"),
    ("u,v,w\n1,2,3", UNNAMED, "there must be 2 columns; there are 3."),
    ("a,q\n1,2", NAMED, 'The header lacks these features: “b c”, “d"e”.'),
    ('a,a,b c,"d""e"\n1,2,3,4', NAMED, "The header names these columns twice: “a”."),
    ('a,b c,"d""e"\n1,2', NAMED, "Line 2 has 2 values, but the header has 3 columns."),
    ('a,b c,"d""e"\n', NAMED, "There is a header, and no row after it."),
]


def check_texts(page: Page) -> None:
    """Read texts in the shapes that people have them in."""
    said = page.evaluate(
        """async (cases) => {
          const { readRows } = await import("./assets/rows.js");
          return cases.map(([text, card]) => {
            try {
              return readRows(text, card).rows;
            } catch (error) {
              return error.message;
            }
          });
        }""",
        [case[:2] for case in READ],
    )
    for (text, _, expected), got in zip(READ, said, strict=True):
        is_error = isinstance(expected, str)
        assert expected in got if is_error else got == expected, (text, got)
