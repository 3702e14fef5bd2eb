"""The table of the fast path: every row is a route of FastAPI's, and found as one."""

import pytest
from fastapi.routing import APIRoute

from sigmoid_serve.http import routes
from sigmoid_serve.inference.operations import OPERATIONS, OperationTable

TEMPLATES = [operation.template for operation in OPERATIONS]
FOUND = {
    "/predict": ("/predict", {}),
    "/sigmoid": ("/sigmoid", {}),
    "/models/a.b-c_1/predict": ("/models/{name}/predict", {"name": "a.b-c_1"}),
    "/models/a/versions/12/predict": (
        "/models/{name}/versions/{version}/predict",
        {"name": "a", "version": "12"},
    ),
    "/models/ /predict": ("/models/{name}/predict", {"name": " "}),
}
NOT_FOUND = (
    *("", "/", "/predict/", "//predict", "/predict?", "/Predict", "/predict\n"),
    *("/models/predict", "/models//predict", "/models/a/b/predict", "/models/a"),
    *("/models/a/versions/predict", "/models/a/versions/1/predict/x", "/sigmoid/a"),
)


def test_each_is_a_route_of_the_application() -> None:
    posts = [route for route in routes.inference.routes if isinstance(route, APIRoute)]
    assert sorted(route.path for route in posts) == sorted(TEMPLATES)
    assert all(route.methods == {"POST"} for route in posts)


@pytest.mark.parametrize("path", FOUND)
def test_a_path_that_leads_to_one(path: str) -> None:
    match = OperationTable(OPERATIONS).match(path)
    assert match is not None
    assert (match.operation.template, dict(match.path)) == FOUND[path]


@pytest.mark.parametrize("path", NOT_FOUND)
def test_a_path_that_leads_to_none(path: str) -> None:
    assert OperationTable(OPERATIONS).match(path) is None
