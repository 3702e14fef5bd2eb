"""`/docs`: Swagger UI from an installed package, with no request to the outside.

All addresses are relative, so that it works behind a proxy that strips a prefix. Its
look is that of the package but for a stylesheet of ours, and a script that has both
colour schemes follow the reader's, and the examples follow the model that is chosen.
"""

import asyncio
from importlib.resources import files
from typing import Final

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import Context, context_of
from sigmoid_serve.http.examples.document import add_examples
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.http.middleware import DOCS_ASSETS, PAGES
from sigmoid_serve.http.openapi import ask_for_key, build_document
from sigmoid_serve.http.pages.policy import POLICY
from sigmoid_serve.inference.media import JSON

_OWN_ASSETS: Final = f"{DOCS_ASSETS}/own"

_PAGE: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>sigmoid-serve</title>
<link rel="stylesheet" href="{DOCS_ASSETS[1:]}/swagger-ui.css">
<link rel="stylesheet" href="{_OWN_ASSETS[1:]}/docs.css">
<link rel="icon" href="{DOCS_ASSETS[1:]}/favicon.png">
</head>
<body>
<main id="swagger-ui"></main>
<script src="{DOCS_ASSETS[1:]}/swagger-ui-bundle.js"></script>
<script src="{_OWN_ASSETS[1:]}/names.js"></script>
<script src="{_OWN_ASSETS[1:]}/docs.js"></script>
</body>
</html>
"""

router = APIRouter()


class Documents:
    """The document of the API as it was last made.

    There are two where keys are set: one for who has shown a key, and one for others.

    Args:
        app: That is documented.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._lock = asyncio.Lock()
        self._made_of: tuple[object, ...] = ()
        self._made: dict[bool, bytes] = {}
        self._routes = b""

    async def get(self, context: Context, state: RequestState, is_known: bool) -> bytes:
        """Return the document; make it anew where models have changed.

        Args:
            context: Of the application.
            state: Of the request.
            is_known: Whether its sender may ask everything.
        """
        async with self._lock:
            registry = context.registry
            # None of them is ever changed, but replaced.
            there = (registry.models, registry.passed_over, registry.default)
            if len(self._made_of) != len(there) or any(
                new is not old for new, old in zip(there, self._made_of, strict=True)
            ):
                self._made_of, self._made = there, {}
            if is_known not in self._made:
                made = await self._make(context, state, is_known)
                self._made[is_known] = made
            return self._made[is_known]

    async def _make(
        self, context: Context, state: RequestState, is_known: bool
    ) -> bytes:
        if not self._routes:
            # FastAPI takes some 20 ms to describe its routes, which stay the same.
            run = context.background.run
            self._routes = orjson.dumps(await run(state, build_document, self._app))
        document = orjson.loads(self._routes)
        # Seen from where the document is, behind a proxy too.
        document["servers"] = [{"url": context.settings.root_path or "."}]
        if context.api_keys.are_set:
            open_paths = context.health_paths | PAGES
            ask_for_key(document, open_paths, context.error_form)
        await add_examples(document, self._app, context, is_known=is_known)
        return orjson.dumps(document)


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """Show the API documentation, to read and to try."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Show the schema of the API."""
    context = context_of(request)
    documents: Documents = request.app.state.documents
    state: RequestState = request.state.request_state
    # Before anything is loaded there is nothing to show.
    if context.registry.is_loading:
        context.registry.find(context.registry.default)
    body = await documents.get(context, state, _is_known(request, context))
    return Response(body, media_type=JSON)


def _is_known(request: Request, context: Context) -> bool:
    key = combine_headers(request.scope["headers"]).get(b"authorization")
    try:
        context.api_keys.authorize(key, for_admin=False)
    except ServiceError:
        return False
    return True


def install(app: FastAPI) -> None:
    """Add the page, its assets and the schema."""
    app.state.documents = Documents(app)
    app.include_router(router)
    own = files("sigmoid_serve.http.pages") / "assets" / "docs"
    app.mount(_OWN_ASSETS, StaticFiles(directory=str(own)))
    app.mount(
        DOCS_ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static"))
    )
