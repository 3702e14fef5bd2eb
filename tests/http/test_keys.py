"""Who may ask: the file of keys, and what every route answers without one of them."""

import contextlib
import hashlib
import logging
import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.authentication import ApiKeys, Key, KeysError, read_keys
from sigmoid_serve.http.protocols.table import PROTOCOLS
from tests.cli.test_cli import call, refused
from tests.conftest import serve
from tests.documentation.test_readme import ROOT
from tests.running import COMMAND, TIMEOUT, environment
from tests.server.test_connection import answer, post

ADMIN, USER, GUEST, STRANGER = ("adm.in-1~x==", "user/2+", "guest", "stranger")
NAMES = {ADMIN: "root", USER: "alice", GUEST: "guest"}
HEALTH = ("/livez", "/readyz", "/startupz")
ROW = {"inputs": [0.0] * 30}
LONG = {"inputs": [[0.0] * 30] * 2000}

# What the file of keys promises: a change is in force so soon.
SECONDS = 2.0


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def line(key: str) -> str:
    return f"{NAMES[key]} {digest(key)}{' admin' if key == ADMIN else ''}\n"


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Calls a server that asks for keys."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(line(ADMIN) + line(USER))
    with serve(Settings(api_keys_file=path)) as client:
        yield client


def is_native(path: str) -> bool:
    return not any(protocol.is_of(path) for protocol in PROTOCOLS)


def operations(client: httpx.Client) -> list[tuple[str, str]]:
    """List method and path of all that the native API has, but for its health."""
    document = client.get("/openapi.json", headers=bearer(USER)).json()
    return [
        (method.upper(), path.format(name="breast-cancer", version="1"))
        for path, methods in document["paths"].items()
        for method in methods
        if path not in HEALTH and is_native(path)
    ]


def body_for(path: str) -> dict[str, Any]:
    asks = path.endswith(("/predict", "/sigmoid"))
    return {"json": ROW} if asks else {}


def check_refusal(response: httpx.Response, code: str) -> None:
    assert response.status_code == 401, response.text
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    for key in (ADMIN, USER, STRANGER):
        assert key not in response.text
        assert digest(key) not in response.text


def test_read_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(
        f"# who may ask\n\n   \n  a.b_C-9\t{digest('a').upper()}  \r\n"
        f"{'n' * 64} {digest('b')} \t admin"
    )
    assert read_keys(path) == (
        Key("a.b_C-9", hashlib.sha256(b"a").digest(), False),
        Key("n" * 64, hashlib.sha256(b"b").digest(), True),
    )


@pytest.mark.parametrize(
    "bad",
    [
        "alice",
        digest("a"),
        f"alice {digest('a')[:-1]}",
        f"alice {digest('a')}0",
        f"alice {'g' * 64}",
        f"alice:{digest('a')}",
        f"{digest('a')} alice",
        f"{'n' * 65} {digest('a')}",
        f"al ice {digest('a')}",
        f"al\x1bice {digest('a')}",
        f"alice {digest('a')} Admin",
        f"alice {digest('a')} administrator",
        f"alice {digest('a')}admin",
        f"alice {digest('a')} admin admin",
        f"alice {digest('a')} # Alice",
        "x" * 10_000,
    ],
)
def test_bad_lines(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(f"{line(USER)}# a comment\n{bad}\n{line(ADMIN)}")
    with pytest.raises(KeysError) as caught:
        read_keys(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 3 is not `name sha256-hex [admin]`; ")
    assert digest("a")[:-1] not in message
    assert len(message) < len(str(path)) + 200


@pytest.mark.parametrize("text", ["", "\n\n", "# none yet\n", f"#{line(USER)}"])
def test_a_file_without_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(text)
    with pytest.raises(KeysError, match="it has no key; nobody could ask"):
        read_keys(path)


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + line(USER).encode(), b"\xff\xfe\x00", "é".encode()]
)
def test_a_file_that_is_not_ascii(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(content)
    with pytest.raises(KeysError, match="it is not a text in ASCII"):
        read_keys(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="No such file or directory; check the path"):
        read_keys(tmp_path / "missing")
    with pytest.raises(KeysError, match="Is a directory; check the path"):
        ApiKeys(tmp_path)


def test_the_documentation_opens_and_asks_for_the_key(keyed: httpx.Client) -> None:
    for path in ("/docs", "/docs/assets/swagger-ui.css", "/openapi.json"):
        assert keyed.get(path).status_code == 200
    assert keyed.get("/").status_code == 200
    # Whatever is behind that path in name only is not there.
    address = (keyed.base_url.host, keyed.base_url.port or 80)
    for path in ("nothing.js", "..%2f..%2fmodels", "../../models", "../../../metrics"):
        with socket.create_connection(address, timeout=20) as wire:
            target = f"/docs/assets/{path}"
            wire.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert answer(wire)[0].startswith(b"HTTP/1.1 404 ")
    document = keyed.get("/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, operations in document["paths"].items():
        for method, operation in operations.items() if is_native(path) else ():
            needed = keyed.request(method, path.replace("{name}", "digits")).status_code
            assert operation["security"] == ([{"key": []}] if needed == 401 else [])
            assert ("401" in operation["responses"]) == (needed == 401)
            assert ("403" in operation["responses"]) == path.endswith("/reload")


def test_no_key_is_documented_where_none_is_set(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "security" not in operation
            if not is_native(path):
                continue
            # A reload needs a key even here, and there is none.
            assert ("401" in operation["responses"]) == path.endswith("/reload")
            assert "403" not in operation["responses"]


def test_without_a_key_nothing_is_told(keyed: httpx.Client) -> None:
    asked = [
        *operations(keyed),
        ("GET", "/nothing"),
        ("GET", "/docs/"),
        ("GET", "/docs/assets"),
        ("GET", "/docs/nothing"),
        ("GET", "/openapi.json/"),
        ("GET", "/predict"),
        ("DELETE", "/models"),
        ("OPTIONS", "/sigmoid"),
        ("GET", "/models/nobody"),
        ("GET", "/models/digits/versions/1"),
        ("POST", "/models/nobody/predict"),
        ("POST", "/models/nobody/reload"),
        ("POST", "/predict?output=nothing"),
        ("GET", "/livez/"),
        ("GET", "/livez;x"),
        ("GET", "/livez%2f..%2fmodels"),
        ("GET", "/docs/../models"),
    ]
    assert ("POST", "/models/breast-cancer/reload") in asked
    assert ("GET", "/metrics") in asked
    told = set()
    for method, path in asked:
        response = keyed.request(method, path, **body_for(path))
        check_refusal(response, "key_required")
        assert "allow" not in response.headers
        told.add(response.text.replace(response.headers["x-request-id"], ""))
        head = keyed.head(path)
        assert (head.status_code, head.content) == (401, b"")
        other = keyed.request(method, path, headers=bearer(STRANGER), **body_for(path))
        check_refusal(other, "key_unknown")
    assert len(told) == 1


def test_health_is_open(keyed: httpx.Client) -> None:
    for path in HEALTH:
        for headers in ({}, bearer(STRANGER), {"Authorization": "?"}):
            response = keyed.get(path, headers=headers)
            assert (response.status_code, response.json()) == (200, {"status": "ok"})
            assert keyed.head(path, headers=headers).status_code == 200


def test_keys_open_every_route(keyed: httpx.Client) -> None:
    for method, path in operations(keyed):
        response = keyed.request(method, path, headers=bearer(ADMIN), **body_for(path))
        assert response.status_code == 200, (path, response.text)
        response = keyed.request(method, path, headers=bearer(USER), **body_for(path))
        if not path.endswith("/reload"):
            assert response.status_code == 200, (path, response.text)
            continue
        assert response.status_code == 403
        assert response.json()["code"] == "not_admin"
        assert "the key alice does not have the word admin" in response.text
        assert USER not in response.text
    for path in ("/docs", "/docs/assets/swagger-ui.css"):
        assert keyed.get(path, headers=bearer(USER)).status_code == 200
    response = keyed.get("/nothing", headers=bearer(USER))
    assert response.json()["code"] == "route_not_found"


def test_bodies_of_all_ways(keyed: httpx.Client) -> None:
    stream = b'{"inputs": ' + b" " * 500_000 + b"0}"
    for path, given in (
        ("/predict", {"json": ROW}),
        ("/predict", {"json": LONG}),
        ("/sigmoid", {"content": stream}),
        ("/sigmoid", {"content": iter([stream[:99], stream[99:]])}),
        ("/sigmoid", {"content": b"no JSON", "headers": {"Accept": "text/html"}}),
    ):
        arguments: dict[str, Any] = dict(given)
        check_refusal(keyed.post(path, **arguments), "key_required")
    for body in (ROW, LONG):
        found = keyed.post("/predict", json=body, headers=bearer(USER))
        assert found.status_code == 200, found.text


@pytest.mark.parametrize("path", ["/sigmoid", "/models"])
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (f"bearer {USER}", "ok"),
        (f"BEARER {USER}", "ok"),
        (f"beaReR   {USER} ", "ok"),
        (f"  Bearer {USER}\t", "ok"),
        ("", "key_required"),
        ("Bearer", "key_required"),
        ("Bearer ", "key_required"),
        (USER, "key_required"),
        (f"Bearer{USER}", "key_required"),
        (f"Bearer\t{USER}", "key_required"),
        (f"Bearer {USER} {USER}", "key_required"),
        (f"Bearer {USER},", "key_required"),
        (f"Bearer, Bearer {USER}", "key_required"),
        (f'Bearer "{USER}"', "key_required"),
        (f"Basic {USER}", "key_required"),
        (f"Token {USER}", "key_required"),
        (f"Bearer: {USER}", "key_required"),
        (f"Bearer {USER}, Bearer {USER}", "key_required"),
        (f"Bearer {USER}=x", "key_required"),
        ("Bearer =", "key_required"),
        ("Bearer ====", "key_required"),
        ("Bearer a!", "key_required"),
        (f"Bearer {digest(USER)}", "key_unknown"),
        (f"Bearer {USER.upper()}", "key_unknown"),
        (f"Bearer {USER}=", "key_unknown"),
        ("Bearer alice", "key_unknown"),
        (f"Bearer \x1b[2J{USER}", "key_required"),
        (f"Bearer {USER}\x01", "key_required"),
        ("Bearer é\xff", "key_required"),
        (f"Bearer {'x' * 60_000}", "key_unknown"),
        (f"Bearer {' ' * 60_000}!", "key_required"),
    ],
)
def test_headers(keyed: httpx.Client, path: str, header: str, code: str) -> None:
    body = b'{"inputs": 0}'
    request = post(path, body).replace(b"Host: x", b"Host: x\r\nAuthorization: %b")
    request %= header.encode("latin-1")
    if path == "/models":
        request = request.replace(b"POST", b"GET", 1)
    address = (keyed.base_url.host, keyed.base_url.port or 80)
    with socket.create_connection(address, timeout=20) as wire:
        wire.sendall(request)
        head, body, rest = answer(wire)
    assert rest == b""
    if code == "ok":
        assert head.startswith(b"HTTP/1.1 200 ")
    elif head.startswith(b"HTTP/1.1 400 "):
        # Control characters are no part of a header (RFC 9110, section 5.5).
        assert not header.isprintable()
    else:
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b'"code":"%b"' % code.encode() in body
        assert USER.encode() not in body
        is_sendable = code == "key_unknown"
        assert (b"cannot be sent as a bearer token" in body) != is_sendable
        assert (b"letters, digits and -._~+/ with = at its end" in body) != is_sendable


def test_reload_without_a_file_of_keys(client: httpx.Client) -> None:
    response = client.post("/models/digits/reload")
    check_refusal(response, "key_required")
    assert "no key is set up (SIGMOID_API_KEYS_FILE)" in response.text
    response = client.post("/models/digits/reload", headers=bearer(ADMIN))
    check_refusal(response, "key_unknown")


def status(client: httpx.Client, key: str) -> int:
    return client.post("/predict", json=ROW, headers=bearer(key)).status_code


def soon(condition: Callable[[], bool]) -> bool:
    """Tell whether something comes true as soon as the file of keys promises."""
    end = monotonic() + SECONDS
    while monotonic() < end:
        if condition():
            return True
        sleep(0.02)
    return False


def ask_until(
    done: threading.Event, address: httpx.URL, key: str, seen: list[int]
) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        while not done.is_set():
            seen.append(status(client, key))


def test_keys_change_under_load(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(line(ADMIN) + line(USER))
    done = threading.Event()
    kept: list[int] = []
    changed: list[int] = []
    with serve(Settings(api_keys_file=path)) as client, ExitStack() as stack:
        threads = [
            threading.Thread(target=ask_until, args=(done, client.base_url, key, seen))
            for key, seen in ((ADMIN, kept), (USER, changed)) * 2
        ]
        for thread in threads:
            stack.callback(thread.join)
            thread.start()
        stack.callback(done.set)
        versions: Sequence[tuple[str, ...]] = (
            (ADMIN, GUEST),
            (USER, ADMIN),
            (ADMIN,),
            (GUEST, ADMIN, USER),
        )
        for version in versions:
            replace(path, "".join(map(line, version)))
            for key in (USER, GUEST):
                expected = 200 if key in version else 401
                assert soon(lambda k=key, e=expected: status(client, k) == e)  # type: ignore[misc]
    assert set(kept) == {200}
    assert set(changed) == {200, 401}


def test_a_file_that_breaks_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))

    def logged(client: httpx.Client, words: str) -> bool:
        assert status(client, USER) == 200
        assert status(client, GUEST) == 401
        return any(words in message for message in caplog.messages)

    with serve(Settings(api_keys_file=path)) as client:
        for text, words in (
            (f"{line(GUEST)}{GUEST}\n", "line 2 is not"),
            ("", "it has no key"),
            ("é", "it is not a text in ASCII"),
        ):
            caplog.clear()
            replace(path, text)
            told = (
                f"reload of API keys failed, keeping the current ones: {path}: {words}"
            )
            assert soon(lambda t=told: logged(client, t))  # type: ignore[misc]
        caplog.clear()
        path.unlink()
        assert soon(lambda: logged(client, f"{path}: No such file or directory"))
        replace(path, line(GUEST))
        assert soon(lambda: status(client, GUEST) == 200)
        assert status(client, USER) == 401
        assert "API keys reloaded: 1" in caplog.messages
    for key in (USER, GUEST):
        assert digest(key) not in caplog.text
    assert f"Bearer {USER}" not in caplog.text


def test_clients_without_a_key_take_no_room(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    limits = {"max_elements": 70_000, "max_queue_elements": 140_000}
    settings = Settings.model_validate({"api_keys_file": path} | limits)
    request = post("/sigmoid", b" " * 138_000)[:-1]
    with serve(settings) as client:
        address = (client.base_url.host, client.base_url.port or 80)
        with socket.create_connection(address, timeout=20) as wire:
            wire.sendall(request)
            for _ in range(50):
                found = client.post("/sigmoid", json=LONG, headers=bearer(USER))
                assert found.status_code == 200, found.text
                sleep(0.01)


def test_a_file_that_is_mended_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where its time and its size are those of the broken one."""
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    keys = ApiKeys(path)
    good = line(GUEST)
    for text in (good.replace(" ", "_"), good):
        path.write_text(text)
        os.utime(path, ns=(10**18, 10**18))
        sleep(0.6)
        with contextlib.suppress(ServiceError):
            keys.authorize(b"Bearer x", for_admin=False)
        sleep(0.3)  # it is read beside whoever asks
    keys.authorize(b"Bearer " + GUEST.encode(), for_admin=False)
    assert caplog.text.count("reload of API keys failed, keeping the current ones") == 1


@pytest.mark.parametrize("options", [[], ["--admin"]])
def test_new_keys(tmp_path: Path, options: Sequence[str]) -> None:
    """What is printed is a key, and the line that makes it one."""
    path = tmp_path / "keys.txt"
    outcomes = [call("key", f"a.b_C-{number}", *options) for number in range(2)]
    for outcome in outcomes:
        assert (outcome.returncode, outcome.stderr) == (0, "")
    printed = [outcome.stdout.splitlines() for outcome in outcomes]
    path.write_text("".join(f"{line}\n" for _, line in printed))
    keys = ApiKeys(path)
    for number, (key, one) in enumerate(printed):
        assert len(key) >= 43
        assert key not in one
        keys.authorize(b"Bearer " + key.encode(), for_admin=bool(options))
        assert read_keys(path)[number].name == f"a.b_C-{number}"
        assert read_keys(path)[number].is_admin is bool(options)
    assert printed[0][0] != printed[1][0]


def test_a_line_is_appended_as_documented(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    command = " ".join(map(shlex.quote, COMMAND))
    for name in ("alice", "bob"):
        subprocess.run(
            ["bash", "-c", f"{command} key {name} | tail -n 1 >> {path}"],
            env=environment(),
            timeout=TIMEOUT,
            check=True,
        )
    assert [key.name for key in read_keys(path)] == ["alice", "bob"]


def test_the_documented_key_has_the_documented_hash() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"\$ sigmoid-serve key alice\n(.*)\nalice (.*)\n", text)
    assert found
    assert digest(found[1]) == found[2]


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "a/b", "n" * 65, "a\n", "#a"])
def test_names_that_no_line_can_have(name: str) -> None:
    told = refused("key", name)
    assert told.startswith("sigmoid-serve: expected a name of 1 to 64 letters, digits ")
    assert len(told) < 200


def test_a_key_that_cannot_be_sent_is_told_everywhere(tmp_path: Path) -> None:
    """Also where the route is for admins alone, and where no file is set."""
    path = tmp_path / "keys.txt"
    path.write_text(line(USER))
    for keys in (ApiKeys(path), ApiKeys(None)):
        with pytest.raises(ServiceError) as caught:
            keys.authorize(b"Basic dXNlcjpwYXNz", for_admin=True)
        assert caught.value.code == "key_required"
        assert "dXNlcjpwYXNz" not in caught.value.detail
        assert caught.value.expected == "Authorization: Bearer KEY"
        assert ("no key is set up" in caught.value.detail) is not keys.are_set


def test_a_person_is_told_which_line_is_which() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb") as terminal:
        outcome = subprocess.run(
            [*COMMAND, "key", "alice"],
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=TIMEOUT,
            check=True,
        )
        os.close(theirs)
        key, entry = (terminal.readline().decode().strip() for _ in range(2))
    assert entry == f"alice {digest(key)}"
    assert b"Append the second to the file of SIGMOID_API_KEYS_FILE" in outcome.stderr
