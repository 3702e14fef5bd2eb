"""The Predict tab in a real browser: every function, against direct requests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import safetensors.torch
import torch
from playwright.sync_api import Browser, Page, expect

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
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
    Visit,
    visit,
)
from tests.http.pages.predicting import (
    BARS,
    CURVES,
    address,
    choose,
    paste,
    row_of,
    shows,
)
from tests.http.test_keys import STRANGER, USER, line

pytestmark = IN_BROWSER

ODD: Final = ('<b>"x"</b>', "a/b~c, ä", "of many words " * 9)
MANY: Final = 1200

FOCUSED: Final = "document.activeElement.id || document.activeElement.textContent"


def put(path: Path, network: Classifier, **card: Any) -> None:
    """Write a checkpoint; without fields of a card, a bare file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not card:
        safetensors.torch.save_file(dict(network.state_dict()), path)
        return
    fc1, fc2 = network.fc1, network.fc2
    sizes = (fc1.in_features, fc1.out_features, fc2.out_features)
    architecture = Architecture(kind="Classifier", sizes=sizes)
    save_checkpoint(
        path,
        network,
        ModelCard(architecture=architecture, activation="sigmoid", **card),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Calls a server of the shipped models, and of some that say less or are odd."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    shipped = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"
    loaded = load_checkpoint(shipped)
    first = folder / "first" / "breast-cancer"
    for version, temperature in (("1", 1.0), ("2", 3.0)):
        path = first / version / "model.safetensors"
        path.parent.mkdir(parents=True)
        card = loaded.card.model_copy(update={"temperature": temperature})
        save_checkpoint(path, loaded.network, card)
    others = folder / "others"
    put(others / "bare" / "1" / "model.safetensors", Classifier(4, 5, 3))
    put(others / "wide" / "1" / "model.safetensors", Classifier(MANY, 2, 1))
    put(
        others / "odd" / "1" / "model.safetensors",
        Classifier(3, 4, 2),
        task="multilabel",
        features=ODD,
        classes=("<i>wet</i>", "cold"),
        thresholds=(0.0, 1.0),
        scaler=Scaler(mean=(0, 5, 0), scale=(1, 2, 0.5)),
    )
    put(
        others / "drawn" / "1" / "model.safetensors",
        Classifier(2, 3, 3),
        task="multiclass",
        link="softmax",
        quantiles=((5,) * 32, tuple(range(10, 42))),
    )
    put(
        others / "wrong" / "1" / "model.safetensors",
        Classifier(2, 2, 2),
        task="multiclass",
        golden=Golden(inputs=((1, 2),), logits=((99, -99),)),
    )
    settings = Settings(activation="sigmoid")
    with serve(settings, [first.parent, PRETRAINED / "digits", others]) as client:
        yield client


def apis(seen: Visit) -> list[str]:
    """List what was asked of the API."""
    paths = ["/".join(url.split("/")[3:]) for url in seen.requested]
    return [path for path in paths if path and not path.startswith("assets/")]


def test_the_first_prediction_and_what_moves_it(
    server: httpx.Client, browser: Browser
) -> None:
    card = server.get("/models/breast-cancer").json()
    with visit(browser, address(server), viewport=DESKTOP) as seen:
        page = seen.page
        page.wait_for_selector(CURVES)
        asked = "models/breast-cancer/versions/2"
        assert apis(seen)[:3] == ["models", asked, f"{asked}/predict"]
        assert len(apis(seen)) <= 6
        assert row_of(page) == card["examples"][0]
        said = shows(page, server, "breast-cancer", "2")
        assert page.inner_text("#bars strong") == said["labels"]
        assert page.inner_text("#bars th") == "benign"
        assert page.locator("#bars .threshold").count() == 1
        assert "version 2 · logits of shape (1) · " in page.inner_text("#bars")
        expect(page.locator("#bars [aria-live]")).to_contain_text(said["labels"])
        assert page.locator(".histogram").count() == 30
        quantiles = card["quantiles"][0]
        slider = page.locator("#slider-0")
        ends = [float(slider.get_attribute(end) or "") for end in ("min", "max")]
        assert ends == [quantiles[0], quantiles[-1]]
        check_curves(page, server, card)
        check_sliders(page, server, quantiles)
        page.click("text=Random row")
        assert row_of(page) in card["examples"]
        # Another version is asked about the same row.
        row = row_of(page)
        one, two = shows(page, server, "breast-cancer", "2"), None
        page.select_option("#version", "1")
        two = shows(page, server, "breast-cancer", "1")
        assert row_of(page) == row
        assert one["probabilities"] != two["probabilities"]


def check_curves(page: Page, server: httpx.Client, card: Any) -> None:
    assert page.locator(CURVES).count() == 8
    texts = page.locator(".curve-of .number").all_inner_texts()
    moves = [float(text.split()[-1]) for text in texts]
    assert moves == sorted(moves, reverse=True)
    said = page.locator(f"{CURVES} svg").first.get_attribute("aria-label") or ""
    name, first, start = re.findall(r"by (.+): from (\S+) at (\S+) to", said)[0]
    index = card["feature_names"].index(name)
    row = row_of(page)
    row[index] = float(start)
    assert row[index] == pytest.approx(card["quantiles"][index][0], rel=1e-4)
    answer = server.post("/predict", json={"inputs": row}).json()
    output = "logits" if said.startswith("Logit") else "probabilities"
    assert float(first) == pytest.approx(answer[output][0], rel=1e-3)
    page.locator(f"{CURVES} button").first.click()
    expect(page.locator(f"#feature-{index}")).to_be_focused()
    page.click("text=Show the other 22")
    assert page.locator(CURVES).count() == 30


def check_sliders(page: Page, server: httpx.Client, quantiles: list[float]) -> None:
    slider, field = page.locator("#slider-0"), page.locator("#feature-0")
    slider.focus()
    page.keyboard.press("End")
    assert float(field.input_value()) == quantiles[-1]
    page.keyboard.press("ArrowLeft")
    assert quantiles[0] < float(field.input_value()) < quantiles[-1]
    shows(page, server, "breast-cancer", "2")
    field.fill("1e3")
    expect(page.locator("text=outside the training rows")).to_be_visible()
    assert float(slider.input_value()) == pytest.approx(quantiles[-1], rel=1e-2)
    assert row_of(page)[0] == 1000
    shows(page, server, "breast-cancer", "2")
    field.fill(str(quantiles[3]))
    expect(page.locator("text=outside the training rows")).to_have_count(0)
    mark = page.locator(".histogram line").first.get_attribute("x1")
    assert 0 < float(mark or "") < 28


def test_models_that_say_less(server: httpx.Client, browser: Browser) -> None:
    with visit(browser, address(server), ["503"], viewport=DESKTOP) as seen:
        page = seen.page
        page.wait_for_selector(BARS)
        choose(page, "digits")
        said = shows(page, server, "digits")
        assert page.inner_text("#bars .chosen th") == said["labels"]
        page.wait_for_selector(CURVES)
        page.select_option("#curve-class", "3")
        label = page.locator(f"{CURVES} svg").first.get_attribute("aria-label") or ""
        assert re.match(r"(Probability|Logit) of 3 by pixel_\d_\d: ", label)

        choose(page, "bare")
        assert row_of(page) == [0] * 4
        shows(page, server, "bare")
        assert page.inner_text("label[for=feature-3]") == "feature 3"
        assert page.locator("[type=range], .histogram").count() == 0
        assert page.locator("text=Random row").is_hidden()
        expect(page.locator("#curves")).to_contain_text("does not say in which range")

        choose(page, "drawn")
        assert row_of(page) == [5, 26]
        assert page.locator("#slider-0").is_disabled()
        page.click("text=Random row")
        assert row_of(page)[0] == 5
        assert 10 <= row_of(page)[1] <= 41
        shows(page, server, "drawn")
        assert "add up to 1" in page.inner_text("#bars")

        choose(page, "odd")
        # Names are text, whatever is in them.
        assert page.locator("main b, main i").count() == 0
        names = page.locator(".feature .name")
        assert [names.nth(i).get_attribute("title") for i in range(3)] == list(ODD)
        assert names.nth(0).inner_text() == ODD[0]
        shows(page, server, "odd")
        assert page.inner_text("#bars strong") == "<i>wet</i>"
        assert page.locator("#bars .threshold").count() == 2
        assert row_of(page) == [0, 5, 0]
        assert page.get_attribute("#slider-1", "max") == "11"
        page.wait_for_selector(CURVES)

        choose(page, "wide")
        shows_first_features(page)

        page.select_option("#model", "wrong")
        expect(page.locator(".badge")).to_have_text("failed")
        problem = server.post("/models/wrong/predict", json={"inputs": [0, 0]}).json()
        expect(page.locator("#problem")).to_have_text(problem["detail"])
        assert len(seen.complaints) == 1


def shows_first_features(page: Page) -> None:
    fields = page.locator("[id^=feature-]")
    assert fields.count() == 200
    paste(page, json.dumps(list(range(MANY))))
    expect(page.locator("#feature-199")).to_have_value("199")
    page.click(f"text=Show the other {MANY - 200} features")
    assert row_of(page) == list(range(MANY))


def test_errors_are_shown_where_they_belong(
    server: httpx.Client, browser: Browser
) -> None:
    with visit(browser, address(server), ["422", "404"], viewport=DESKTOP) as seen:
        page = seen.page
        page.wait_for_selector(BARS)
        row: list[Any] = row_of(page)
        page.fill("#feature-3", "many")
        row[3] = "many"
        problem = server.post("/predict", json={"inputs": row}).json()
        assert problem["pointer"] == "/inputs/3"
        error = page.locator("#error-3[role=alert]")
        expect(error).to_have_text(problem["detail"])
        field = page.locator("#feature-3")
        assert field.get_attribute("aria-invalid") == "true"
        assert field.get_attribute("aria-describedby") == "error-3"
        assert page.locator("#problem").is_hidden()
        assert page.locator("#bars.stale").count() == 1
        page.fill("#feature-3", "500")
        expect(error).to_have_count(0)
        assert field.get_attribute("aria-invalid") is None
        shows(page, server, "breast-cancer", "2")
        assert seen.complaints

        # A version that a reload took away: the page asks again which there are.
        page.evaluate(
            """async () => {
              const { chosen, row } = await import("./assets/state.js");
              chosen.set({ name: "breast-cancer", version: "9" });
              row.set([...row.get()]);
            }"""
        )
        expect(page.locator("#problem")).to_contain_text("version 9")
        expect(page.locator("#problem")).to_be_hidden()
        assert page.input_value("#version") == "2"
        shows(page, server, "breast-cancer", "2")
        assert sum("404" in each for each in seen.complaints) == 1
        check_answers_in_order(page, server)


def check_answers_in_order(page: Page, server: httpx.Client) -> None:
    """Many changes: few requests at a time, and the last row's answer stays."""
    page.evaluate(
        """async () => {
          const field = document.getElementById("feature-0");
          for (let value = 10; value <= 20; value += 0.25) {
            field.value = value;
            field.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise((go) => setTimeout(go, 5));
          }
        }"""
    )
    assert row_of(page)[0] == 20
    shows(page, server, "breast-cancer", "2")


def test_the_key_is_asked_for(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    with (
        serve(Settings(api_keys_file=path)) as client,
        visit(browser, address(client), ["401"]) as seen,
    ):
        page = seen.page
        key = page.get_by_label("API key")
        expect(key).to_be_focused()
        expect(page.locator("#key-problem")).to_contain_text("asks for a key")
        assert page.locator(BARS).count() == 0
        key.fill(STRANGER)
        page.click("text=Use key")
        expect(page.locator("#key-problem")).to_contain_text("key_unknown")
        expect(key).to_be_focused()
        key.fill("ключ")
        key.press("Enter")
        expect(page.locator("#key-problem")).to_contain_text("ASCII")
        key.fill(USER)
        key.press("Enter")
        page.wait_for_selector(CURVES)
        assert page.locator("#key").is_hidden()
        assert page.locator("#key-problem").is_hidden()
        # It stays in the tab, and can be forgotten.
        page.reload()
        page.wait_for_selector(BARS)
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        page.click("#head >> text=Key")
        key.press("Escape")
        expect(page.get_by_role("button", name="Key", exact=True)).to_be_focused()
        page.click("#head >> text=Key")
        key.press("Enter")
        expect(page.locator("#key-problem")).to_contain_text("asks for a key")
        assert seen.complaints


def test_on_a_phone_in_both_schemes(server: httpx.Client, browser: Browser) -> None:
    with visit(browser, address(server), viewport=PHONE, color_scheme="dark") as seen:
        page = seen.page
        page.wait_for_selector(CURVES)
        summary = page.locator("#summary")
        expect(summary).to_be_in_viewport()
        assert page.inner_text("#bars strong") in summary.inner_text()
        expect(page.locator("#bars")).not_to_be_in_viewport()
        summary.click()
        expect(page.locator("#bars")).to_be_in_viewport()
        page.fill("#feature-0", "1000")
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.evaluate(SETTLED)
            ratio, text = page.evaluate(LOWEST)
            assert ratio >= 4.5, (ratio, text)
        page.click("text=Paste…")
        for model in ("digits", "odd"):
            page.keyboard.press("Escape")
            choose(page, model)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"], page.evaluate(BEYOND)
            assert page.evaluate(BEYOND) == []
            assert page.evaluate(UNREACHABLE) == []


def test_by_keyboard_alone(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, address(client), viewport=DESKTOP) as seen:
        page = seen.page
        # No more numbers in a request than this server takes.
        page.wait_for_selector(CURVES)
        assert "of the first 6 features" in page.inner_text("#curves")
        press = page.keyboard.press
        press("Tab")
        expect(page.get_by_role("tab", name="Predict")).to_be_focused()
        press("ArrowRight")
        expect(page.get_by_role("tab", name="Sigmoid")).to_be_focused()
        assert page.url.endswith("#sigmoid")
        assert page.locator("#sigmoid").get_attribute("hidden") is None
        assert page.locator("#predict").is_hidden()
        page.go_back()
        expect(page.locator("#predict")).to_be_visible()
        page.get_by_role("tab", name="Predict").focus()
        order = []
        for _ in range(8):
            press("Tab")
            order.append(page.evaluate(FOCUSED))
        assert order == [
            "model",
            "version",
            "API",
            "Key",
            "Random row",
            "Paste…",
            "slider-0",
            "feature-0",
        ]
        for _ in range(2):
            press("Shift+Tab")
        press("Enter")
        expect(page.locator("#paste")).to_be_focused()
        press("Escape")
        expect(page.locator("text=Paste…")).to_be_focused()
        press("Tab")
        press("ArrowRight")
        shows(page, client, "breast-cancer")
        # Every control has a name.
        names = page.eval_on_selector_all(
            "input, select, textarea",
            "(all) => all.filter((each) => !each.labels.length && !each.ariaLabel)"
            ".map((each) => each.outerHTML)",
        )
        assert names == []
