"""`/docs`: Swagger UI from an installed package, with no request to the outside.

All addresses are relative, so that it works behind a proxy that strips a prefix.
"""

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.middleware import ASSETS, OPEN_PATHS
from sigmoid_serve.http.openapi import ask_for_key, build_document

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """Show the API documentation, to read and to try."""
    assets = ASSETS.removeprefix("/")
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="sigmoid-serve",
        swagger_js_url=f"{assets}/swagger-ui-bundle.js",
        swagger_css_url=f"{assets}/swagger-ui.css",
        swagger_favicon_url=f"{assets}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    )


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> dict[str, Any]:
    """Show the schema of the API."""
    app: FastAPI = request.app
    context = context_of(request)
    # The examples show what the default model answers; another may take its place.
    default = context.registry.find(context.registry.default)
    if app.openapi_schema is None or app.state.documented is not default:
        document = await build_document(app, default, context.background)
        # Seen from where the document is, behind a proxy too.
        document["servers"] = [{"url": context.settings.root_path or "."}]
        if context.api_keys.are_set:
            ask_for_key(document, OPEN_PATHS)
        app.openapi_schema = document
        app.state.documented = default
    return app.openapi_schema


def install(app: FastAPI) -> None:
    """Add the page, its assets and the schema."""
    app.include_router(router)
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")))
