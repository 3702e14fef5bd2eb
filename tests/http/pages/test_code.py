"""The programs of the page's code panel: each is read from the page and run."""

import contextlib
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
import torch
from playwright.sync_api import Browser, Page, Route

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.http.pages.browsing import IN_BROWSER, PHONE, visit
from tests.http.test_keys import USER, line

pytestmark = IN_BROWSER

# What ends a string, or means something in one, somewhere.
ODD: Final = (
    *("it's", "'\\''", 'say "hi"', "back\\slash\\", "new\nline", "tab\tand\rreturn"),
    *("$HOME", "${HOME}", "$(id)", "`id`", "%s {a} {{b}}", "!!", "#", "</script>"),
    *("größe", "面積", "🙂", "\u2028", "__proto__", "constructor", "1", "0", " "),
)

# The answer of a model, as soon as the page has it, and what it shows of it.
ANSWER: Final = """async (model) => {
  const { answer } = await import("./assets/state.js");
  return new Promise((found, failed) => {
    setTimeout(() => failed(new Error(`no answer of ${model}`)), 20_000);
    answer.watch((said) => said?.model === model && found(said));
  });
}"""
SHOWN: Final = """() => [...document.querySelectorAll("#bars [data-probability]")]
  .map((bar) => Number(bar.dataset.probability))"""


class Printed(NamedTuple):
    """What a program printed: the label, or one truth per label, and numbers."""

    labels: object
    probabilities: Sequence[float]


def run_by_bash(program: str, page: Page) -> Printed:
    command = ["bash", "-c", program]
    result = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert not result.stderr
    answer = json.loads(result.stdout)
    return Printed(answer["labels"], answer["probabilities"])


def run_by_python(program: str, page: Page) -> Printed:
    # In a thread of its own: the browser's event loop runs in this one.
    with ThreadPoolExecutor(1) as executor, contextlib.redirect_stdout(io.StringIO()):
        printed = executor.submit(_execute, program).result(60)
    labels, _, numbers = printed.strip().rpartition("[")
    probabilities = [float(each) for each in re.findall(r"[^\s,\]]+", numbers)]
    return Printed(labels.strip(), probabilities)


def _execute(program: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    return output.getvalue()


def run_in_the_page(program: str, page: Page) -> Printed:
    key = json.dumps(os.environ.get("SIGMOID_KEY"))
    printed = page.evaluate(
        f"""async () => {{
            const printed = [];
            const console = {{ log: (...values) => printed.push(...values) }};
            const process = {{ env: {{ SIGMOID_KEY: {key} }} }};
            {program}
            return printed;
        }}"""
    )
    return Printed(*printed)


RUNNERS: Final[dict[str, Callable[[str, Page], Printed]]] = {
    "curl": run_by_bash,
    "httpx": run_by_python,
    "Python client": run_by_python,
    "JavaScript": run_in_the_page,
    "tritonclient": run_by_python,
}


def told(labels: object) -> str:
    """Write what is printed of labels alike, whatever prints it."""
    truths = re.fullmatch(r"\[\s*((?:True|False)[\s,]*)+\]", str(labels))
    return " ".join(re.findall("True|False", truths[0])) if truths else str(labels)


def saved(path: Path, inputs: int, outputs: int, **card: object) -> Path:
    torch.manual_seed(0)
    sizes = (inputs, 3, outputs)
    fields = {
        "architecture": Architecture(kind="Classifier", sizes=sizes),
        "activation": "sigmoid",
        "task": "multiclass",
        **card,
    }
    card_ = ModelCard.model_validate(fields)
    save_checkpoint(path, Classifier(*sizes), card_)
    return path


def choose(page: Page, model: str) -> Any:
    """Choose a model, unless it is chosen; returns its answer to the first row."""
    page.wait_for_selector("#snippet")
    if page.input_value("#model") != model:
        page.select_option("#model", model)
    return page.evaluate(ANSWER, model)


def program_of(page: Page, name: str) -> str:
    page.get_by_role("button", name=name, exact=True).click()
    return page.text_content("#snippet") or ""


def check_programs(page: Page, model: str) -> list[str]:
    """Run the programs of a model; they print what the page shows. Returns them."""
    answer = choose(page, model)
    assert set(answer["probabilities"]) <= set(page.evaluate(SHOWN))
    programs = []
    for name, run in RUNNERS.items():
        program = program_of(page, name)
        printed = run(program, page)
        # NumPy prints eight digits.
        expected = pytest.approx(answer["probabilities"], rel=1e-6, abs=1e-8)
        assert printed.probabilities == expected, (name, program)
        assert told(printed.labels) == told(answer["labels"]), (name, program)
        programs.append(program)
    return programs


def test_programs_print_what_the_page_shows(
    client: httpx.Client, browser: Browser
) -> None:
    with visit(browser, str(client.base_url)) as seen:
        for model, is_named in (("digits", False), ("breast-cancer", True)):
            programs = check_programs(seen.page, model)
            assert ['"mean radius"' in each for each in programs] == (
                [is_named] * 4 + [False]
            )
            assert not any("SIGMOID_KEY" in each for each in programs)


@pytest.fixture
def own_models(tmp_path: Path) -> list[Path]:
    names = dict.fromkeys(ODD)
    return [
        saved(
            tmp_path / "odd.1-x_" / "7" / "model.safetensors",
            len(names),
            3,
            features=tuple(names),
            classes=('it\'s "so"', "größe\\n", "[1, 2]"),
        ),
        saved(tmp_path / "bare" / "1" / "model.safetensors", 2, 4),
        saved(
            tmp_path / "several" / "1" / "model.safetensors",
            9,
            3,
            task="multilabel",
            classes=("a", "b", "c"),
        ),
    ]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    monkeypatch.setenv("SIGMOID_KEY", USER)
    return path


def test_programs_of_odd_names_and_with_a_key(
    browser: Browser, own_models: list[Path], keys: Path, tmp_path: Path
) -> None:
    with (
        serve(Settings(api_keys_file=keys), [tmp_path]) as client,
        # It asks for the key because its first request is refused.
        visit(browser, str(client.base_url), ["401"]) as seen,
    ):
        seen.page.fill("#key", USER)
        seen.page.press("#key", "Enter")
        for path in own_models:
            for program in check_programs(seen.page, path.parts[-3]):
                assert "SIGMOID_KEY" in program
                assert USER not in program


def test_programs_are_copied(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, str(client.base_url), ["422"], viewport=PHONE) as seen:
        page = seen.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.wait_for_selector("#snippet")
        program = program_of(page, "httpx")
        page.get_by_role("button", name="Copy", exact=True).click()
        page.get_by_text("Copied.").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == program
        # A row that is no row of numbers leaves the program, which works.
        page.fill("#feature-0", "x")
        page.wait_for_selector("#error-0:not([hidden])")
        assert page.text_content("#snippet") == program


def test_a_program_is_selected_where_pages_may_not_copy(
    client: httpx.Client, browser: Browser
) -> None:
    elsewhere = "http://models.example"  # without TLS, and not on this machine

    def fetch(route: Route) -> None:
        address = route.request.url.replace(elsewhere, str(client.base_url).rstrip("/"))
        route.fulfill(response=route.fetch(url=address))

    with visit(browser, "about:blank", viewport=PHONE) as seen:
        page = seen.page
        page.route(f"{elsewhere}/**", fetch)
        page.goto(f"{elsewhere}/", wait_until="networkidle")
        page.get_by_role("button", name="Copy", exact=True).click()
        page.get_by_text("Selected").wait_for()
        program = page.text_content("#snippet") or ""
        assert page.evaluate("getSelection().toString()").strip() == program.strip()
        assert f"'{elsewhere}/models/" in program
        assert all(each.startswith(elsewhere) for each in seen.requested[1:])
        seen.requested.clear()
