"""`/`: the playground, one page without a build step and without outside requests.

Its files are `assets/playground`: ES modules, which load each other. Their addresses
are relative to the page, or to the prefix that a proxy leaves in place.
"""

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.middleware import PAGE_ASSETS
from sigmoid_serve.http.pages.policy import POLICY

_FILES: Final = Path(str(files("sigmoid_serve.http.pages"))) / "assets" / "playground"
_PAGE: Final = "playground.html"
_BASE: Final = '<base href="./">'

_HEADERS: Final = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}


async def page(request: Request) -> HTMLResponse:
    """Show the playground."""
    prefix = escape(context_of(request).settings.root_path)
    text = (_FILES / _PAGE).read_text(encoding="utf-8")
    base = f'<base href="{prefix}/">' if prefix else _BASE
    return HTMLResponse(text.replace(_BASE, base), headers=_HEADERS)


async def documentation(request: Request) -> RedirectResponse:
    """Show the API documentation."""
    root_path = context_of(request).settings.root_path
    return RedirectResponse(f"{root_path}/docs" if root_path else "docs")


def install(app: FastAPI, *, is_shown: bool) -> None:
    """Add the page and its files; if it is not shown, lead to the documentation."""
    home = page if is_shown else documentation
    app.add_api_route("/", home, include_in_schema=False)
    if is_shown:
        app.mount(PAGE_ASSETS, StaticFiles(directory=_FILES))
