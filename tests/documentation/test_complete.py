"""Every route, option and code of an error is documented; every page can be found."""

import re
from typing import Any, get_args

import httpx
import pytest
import typer.main
from typer.core import TyperGroup

from sigmoid_serve.cli.commands import COMMANDS, app
from sigmoid_serve.configuration.environment import PREFIX
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import Code
from sigmoid_serve.http.protocols.table import PROTOCOLS
from tests.documentation.pages import DOCS, PAGES
from tests.documentation.shell import OURS

HTTP = PAGES["docs/http.md"]
INDEX = PAGES["docs/README.md"]


def routes(client: httpx.Client, *, of_protocols: bool) -> set[str]:
    """List the methods and paths of the native API, or of the protocols."""
    paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    return {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method in operations
        if any(protocol.is_of(path) for protocol in PROTOCOLS) == of_protocols
    }


def test_every_route_is_listed(client: httpx.Client) -> None:
    assert {
        route
        for route in routes(client, of_protocols=False)
        if f"`{route}`" not in HTTP
    } == set()


def test_the_routes_of_the_protocols_are_listed(client: httpx.Client) -> None:
    text = PAGES["docs/protocols.md"]
    table = text.partition("\n## Paths\n")[2].partition("\n## ")[0]
    listed = set()
    for route in re.findall(r"`((?:GET|POST) [/…]\S*)`", table):
        model = route.replace("NAME", "{name}").replace("…", "/v2/models/{name}")
        listed.add(model)
        if "…" in route:
            version = "/v2/models/{name}/versions/{version}"
            listed.add(route.replace("…", version))
    assert listed == routes(client, of_protocols=True)


def options(name: str) -> list[str]:
    """List the long options of a command."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context(OURS, [name, "--help"], resilient_parsing=True) as context:
        command = group.get_command(context, name)
    assert command
    return [
        option
        for parameter in command.params
        if parameter.name != "help"
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("--")
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    """On a page that has the command, by its name or that of its setting."""
    about = [text for text in PAGES.values() if f"{OURS} {name}" in text]
    settings = {f"--{each.replace('_', '-')}": each for each in Settings.model_fields}
    for option in options(name):
        setting = settings.get(option.replace("--no-", "--"), "")
        variable = f"{PREFIX}{setting.upper()}"
        names = re.compile(rf"{option}(?![\w-])|`{variable}`")
        assert any(names.search(text) for text in about), option


@pytest.mark.parametrize("code", get_args(Code))
def test_every_error_is_listed(code: str) -> None:
    assert f"`{code}`" in HTTP


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w.-]+\.md)", INDEX))
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert pages == linked
