"""`/docs`: Swagger UI from an installed package, with no request to the outside."""

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from service.context import context_of
from service.openapi import build_document

ASSETS = "/docs/assets"

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Show the API documentation, to read and to try."""
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="sigmoid-serve",
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    )


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> dict[str, Any]:
    """Show the schema of the API."""
    app: FastAPI = request.app
    context = context_of(request)
    # The examples show what the default model answers; another may take its place.
    default = context.repository.find(context.repository.default)
    if app.openapi_schema is None or app.state.documented is not default:
        app.openapi_schema = await build_document(app, default, context.worker)
        app.state.documented = default
    return app.openapi_schema


def install(app: FastAPI) -> None:
    """Add the page, its assets and the schema."""
    app.include_router(router)
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")))
