"""Puts the application together."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from service import docs, error_handlers, routes
from service.device import resolve_device
from service.lean import LeanFastAPI
from service.middleware import RequestContext
from service.repository import PRETRAINED, load_repository
from service.settings import Settings
from service.worker import Worker

DESCRIPTION = """Serves trained sigmoid classifiers: logits, sigmoid probabilities and
labels of rows of features, and an exact elementwise sigmoid of tensors of any shape."""


def create_app(settings: Settings, checkpoints: Sequence[Path] = ()) -> LeanFastAPI:
    """Load the models, then make the application that serves them.

    Args:
        settings: See `service.settings`.
        checkpoints: Files or folders in place of `settings.models`; the first model
            of the first is the default.

    Raises:
        CheckpointError: A file cannot be served.
        DeviceError: A device that was asked for is not there.
    """
    repository = load_repository(
        checkpoints,
        settings.models or (PRETRAINED,),
        resolve_device(settings.device),
        settings.max_batch_rows,
    )
    app = LeanFastAPI(
        title="sigmoid-serve",
        version=version("sigmoid-serve"),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.repository = repository
    app.state.worker = worker = Worker()
    app.include_lean_router(routes.inference_router(repository, settings, worker))
    app.include_router(routes.router)
    docs.install(app)
    error_handlers.install(app)
    app.add_middleware(RequestContext)
    return app
