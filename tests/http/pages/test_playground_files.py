"""The playground as files: policy, prefix, cache, and how it is taken away."""

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve


def test_the_page_and_its_policy(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert client.get("/docs").headers["content-security-policy"] == policy
    module = client.get("/assets/main.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "path", ["nothing.js", "../docs/docs.js", "..%2fdocs%2fdocs.js"]
)
def test_nothing_else_lies_beside_it(client: httpx.Client, path: str) -> None:
    assert client.get(f"/assets/{path}").json()["code"] == "route_not_found"


def test_without_the_page_home_leads_to_the_documentation() -> None:
    with serve(Settings(page=False)) as client:
        response = client.get("/")
        assert (response.status_code, response.headers["location"]) == (307, "docs")
        assert client.get("/assets/main.js").status_code == 404
        assert client.get("/docs").status_code == 200


def test_below_a_prefix() -> None:
    with serve(Settings(root_path="/api")) as client:
        for path in ("/api", "/api/", "/"):
            assert '<base href="/api/">' in client.get(path).text
        for path in ("/api/", "/", "/api/assets/main.js", "/assets/main.js"):
            assert client.get(path).status_code == 200
