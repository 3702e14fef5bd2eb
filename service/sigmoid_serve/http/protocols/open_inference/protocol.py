"""What the Open Inference Protocol brings to the application."""

from typing import Final

from sigmoid_serve.http.protocols.open_inference import infer, routes
from sigmoid_serve.http.protocols.open_inference.errors import ERROR_FORM
from sigmoid_serve.http.protocols.open_inference.fields.binary import LENGTH_HEADER
from sigmoid_serve.http.protocols.open_inference.management import (
    configuration,
    health,
    metadata,
    repository,
    statistics,
)
from sigmoid_serve.http.protocols.protocol import Protocol

PROTOCOL: Final = Protocol(
    prefix="/v2",
    routers=(
        routes.router,
        health.router,
        # Before the metadata: no model is called stats.
        statistics.router,
        metadata.router,
        configuration.router,
        repository.router,
    ),
    operations=infer.OPERATIONS,
    health_paths=("/v2/health/live", "/v2/health/ready"),
    exposed_headers=(LENGTH_HEADER,),
    error_form=ERROR_FORM,
    models=routes.MODELS,
    row_request=routes.row_request,
)
