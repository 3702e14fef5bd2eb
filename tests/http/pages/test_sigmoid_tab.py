"""The Sigmoid tab: a tensor's values, and what depth does to a gradient."""

import math
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from sigmoid_models import save_checkpoint
from sigmoid_models.card import ModelCard
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.http.pages.browsing import BEYOND, IN_BROWSER, PHONE, visit

pytestmark = IN_BROWSER

TENSORS: list[tuple[str, Any, str]] = [
    ("[-4, -1, 0, 1, 4]", [-4, -1, 0, 1, 4], "float32"),
    ("0.1", 0.1, "float64"),
    ("[[[1, 2]], [[-3, 4.5]]]", [[[1, 2]], [[-3, 4.5]]], "float16"),
    ("1 2;3,\n-4 .5 +6", [1, 2, 3, -4, 0.5, 6], "bfloat16"),
    ("[-700, -40, 40]", [-700, -40, 40], "float64"),
    ("[[], []]", [[], []], "float32"),
    ("", [], "float32"),
]

WRONG = [
    ('[1, "x"]', "float32", 'Element [1] ("x"): expected a number, got a string.'),
    ("1 two 3", "float32", 'Element [1] ("two"): expected a number, got a string.'),
    (
        "[[1, 2], [3]]",
        "float32",
        "Element [1] ([3]): expected a list of 2, got a list of 1.",
    ),
    (
        "[70000]",
        "float16",
        "Element [0] (70000): expected a number within the range of float16, "
        "got a number that rounds to infinity.",
    ),
    ("1 NaN", "float32", "Element [1]: expected a number, got NaN."),
    ('{"a": 1}', "float32", "The tensor: expected a number, got an object."),
    (
        "[1,\n 2",
        "float32",
        "the body is not valid JSON: Expecting ',' delimiter (line 2, column 3)",
    ),
]


def flat(values: Any) -> list[float]:
    if not isinstance(values, list):
        return [values]
    return [each for value in values for each in flat(value)]


def cells(page: Page) -> list[list[str]]:
    """Read the table of the tensor: index, x, sigmoid, derivative."""
    found: list[list[str]] = page.evaluate(
        "() => [...document.querySelectorAll('#tensor-table tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    return found


def test_the_values_are_those_of_the_server(
    client: httpx.Client, browser: Browser
) -> None:
    with visit(browser, f"{client.base_url}/#sigmoid", viewport=PHONE) as seen:
        page = seen.page
        for text, inputs, dtype in TENSORS:
            page.select_option("#dtype", dtype)
            page.fill("#tensor", text)
            said = client.post("/sigmoid", json={"inputs": inputs, "dtype": dtype})
            count = len(flat(inputs))
            expect(page.locator("#tensor-shape")).to_have_text(
                f"Shape {said.json()['shape']}: {count} element{'s' * (count != 1)}, "
                f"{dtype}."
            )
            rows = cells(page)
            assert [float(row[1]) for row in rows] == flat(inputs)
            assert [float(row[2]) for row in rows] == flat(said.json()["outputs"])
            for _, x, _, slope in rows:
                exact = 1 / (1 + math.exp(float(x))) / (1 + math.exp(-float(x)))
                assert math.isclose(float(slope), exact, rel_tol=0.02)
                assert float(slope) <= 0.25
        assert page.evaluate(BEYOND) == []


def test_long_tensors_and_far_elements(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, f"{client.base_url}/#sigmoid") as seen:
        page = seen.page
        page.fill("#tensor", str([[n, -n] for n in range(150)]))
        expect(page.locator("#tensor-shape")).to_have_text(
            "Shape [150, 2]: 300 elements, float32; the first 200 are listed."
        )
        rows = cells(page)
        assert len(rows) == 200
        last = client.post("/sigmoid", json={"inputs": -99}).json()["outputs"]
        assert rows[-1][:3] == ["[99, 1]", "-99", str(last)]
        output = page.locator("#tensor-output")
        expect(output).to_contain_text("166 of the elements lie outside the picture.")
        chart = output.locator(".plot")
        expect(chart).to_have_attribute("aria-label", re.compile("from -16 to 16"))
        dots = chart.locator(".dots.one").get_attribute("d") or ""
        assert dots.count("M") == 200 - 166


def test_errors_name_the_element(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, f"{client.base_url}/#sigmoid", ["400", "422"]) as seen:
        page = seen.page
        field = page.get_by_label("Tensor", exact=True)
        for text, dtype, message in WRONG:
            page.select_option("#dtype", dtype)
            field.fill(text)
            expect(page.locator("#tensor-error")).to_have_text(message)
            expect(field).to_have_attribute("aria-invalid", "true")
        field.fill("1")
        expect(field).to_have_attribute("aria-invalid", "false")
        expect(page.locator("#tensor-error")).to_be_empty()
        assert seen.complaints


def bars(page: Page) -> list[float]:
    """Read the numbers beside the bars, layer by layer."""
    texts = page.locator(".layers tbody .number").all_inner_texts()
    return [float(text) for text in texts]


def test_depth_of_the_shipped_models(client: httpx.Client, browser: Browser) -> None:
    with visit(browser, f"{client.base_url}/#sigmoid") as seen:
        page = seen.page
        depth = page.locator("#depth")
        expect(depth).to_contain_text("With one hidden layer")
        depth.get_by_role("button", name="Show digits").click()
        expect(page.locator("#model")).to_have_value("digits")
        expect(depth).to_contain_text("with init sigmoid, as this model was")
        expect(depth.get_by_role("button")).to_have_count(0)
        card = client.get("/models/digits").json()
        said = [
            each[name]
            for each in card["depth"]
            for name in ("derivative", "product", "gradient")
        ]
        assert bars(page) == pytest.approx(said, rel=5e-3)
        norms = depth.locator(".norms tbody .number").all_inner_texts()
        training = card["training"]
        assert [float(norm) for norm in norms] == pytest.approx(
            [
                norm
                for pair in zip(
                    training["gradient_norms_initial"],
                    training["gradient_norms_final"],
                    strict=True,
                )
                for norm in pair
            ],
            rel=5e-3,
        )
        layers = page.get_by_label("Layers", exact=True)
        layers.focus()
        page.keyboard.press("End")
        expect(depth.locator("output")).to_contain_text("20 layers: at best 0.2520 = ")
        expect(depth.locator("output")).to_contain_text("9.09e-13")
        page.keyboard.press("Home")
        expect(depth.locator("output")).to_contain_text("1 layer: at best 0.251 = 0.25")


NETWORKS: dict[str, tuple[tuple[int, ...], str, str]] = {
    "faded": ((3, 32, 32, 32, 32, 1), "sigmoid", "hardly anything arrives"),
    "flat": ((3, 1), "sigmoid", "has no hidden layer"),
    "large": ((1024, 1024, 1), "sigmoid", "does not compute what gradients do"),
    "rectified": ((3, 16, 16, 16, 1), "relu", "1, or 0 where a unit is off"),
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Calls a server of networks as PyTorch draws them."""
    folder = tmp_path_factory.mktemp("own")
    for name, (sizes, activation, _) in NETWORKS.items():
        torch.manual_seed(0)
        fields = {
            "architecture": {"kind": "Sequential", "sizes": sizes},
            "activation": activation,
            "task": "binary",
        }
        if name == "faded":
            fields["training"] = {
                "dataset": "rows.csv",
                "seed": 0,
                "init": "default",
                "epochs": 0,
                "rows": (10, 5, 5),
                "gradient_norms_initial": (1e-6, 1e-4, 1e-3, 0.01, 0.5),
                "gradient_norms_final": (1e-6, 1e-4, 1e-3, 0.01, 0.25),
            }
        card = ModelCard.model_validate(fields)
        network = card.architecture.build(card.activations)
        save_checkpoint(folder / f"{name}.safetensors", network, card)
    with serve(Settings(), [folder]) as client:
        yield client


def test_depth_of_other_networks(own: httpx.Client, browser: Browser) -> None:
    with visit(browser, f"{own.base_url}/#sigmoid", viewport=PHONE) as seen:
        page = seen.page
        depth = page.locator("#depth")
        for name, (sizes, activation, text) in NETWORKS.items():
            page.select_option("#model", name)
            expect(depth).to_contain_text(text)
            told = own.get(f"/models/{name}").json()["depth"] or []
            assert len(bars(page)) == 3 * len(told)
            offers = depth.get_by_role("button", name="Show faded")
            expect(offers).to_have_count(int(len(sizes) - 2 < 3))
            causes = depth.get_by_text("it causes them")
            assert causes.count() == int(name == "faded"), activation
            assert page.evaluate(BEYOND) == []
        page.select_option("#model", "faded")
        expect(depth).to_contain_text("The weights began as PyTorch draws them")
        expect(depth).to_contain_text("was 2.00e-6 times the last layer's")
