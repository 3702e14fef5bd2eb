"""Offers to go on in another protocol: ignored, whoever makes them and however."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import sleep

import httpx
import pytest

from tests.server.test_connection import answer, received

GOOD = b'{"inputs": [-1, 0, 1]}'
OUTPUTS = [0.26894143, 0.5, 0.7310586]
OFFERS = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n",
    "h2c, kept": b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "unknown": b"connection: UPGRADE\r\nupgrade: foo/2, bar\r\n",
    "in two lines": b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: a\r\n",
    "TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "no offer": b"Upgrade: h2c\r\n",
}
HEAD = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\n"


def with_length(offer: bytes, body: bytes) -> list[bytes]:
    """Write a request: head, and body."""
    return [HEAD + offer + b"Content-Length: %d\r\n\r\n" % len(body), body]


def chunked(offer: bytes, body: bytes) -> list[bytes]:
    chunks = b"%x;a=b\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
        5,
        body[:5],
        len(body) - 5,
        body[5:],
    )
    return [HEAD + offer + b"Transfer-Encoding: chunked\r\n\r\n", chunks]


def expecting(offer: bytes, body: bytes) -> list[bytes]:
    return with_length(offer + b"Expect: 100-continue\r\n", body)


FRAMINGS = {"length": with_length, "chunked": chunked, "expecting": expecting}


def bytewise(parts: Sequence[bytes]) -> list[bytes]:
    return [bytes([byte]) for byte in b"".join(parts)]


CUTS = {
    "whole": lambda parts: [b"".join(parts)],
    "head and body": lambda parts: parts,
    "in the head": lambda parts: [parts[0][:-3], parts[0][-3:] + parts[1]],
    "in the body": lambda parts: [parts[0] + parts[1][:1], parts[1][1:]],
    "byte by byte": bytewise,
}


def send(wire: socket.socket, parts: Sequence[bytes]) -> None:
    for part in parts:
        wire.sendall(part)
        if len(parts) < 10:
            sleep(0.02)


def read_outputs(wire: socket.socket, rest: bytes) -> tuple[object, bytes]:
    _, body, rest = answer(wire, rest)
    return json.loads(body)["outputs"], rest


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("offer", OFFERS)
def test_the_body_is_read_and_the_request_answered(
    wire: socket.socket,
    offer: str,
    framing: str,
    cut: str,
) -> None:
    rest = b""
    for _ in range(2):  # on the same connection
        send(wire, CUTS[cut](FRAMINGS[framing](OFFERS[offer], GOOD)))
        rest = rest or received(wire)
        rest = rest.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        outputs, rest = read_outputs(wire, rest)
        assert outputs == OUTPUTS
    assert rest == b""


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("offer", OFFERS)
def test_a_body_is_never_a_request(
    wire: socket.socket,
    offer: str,
    cut: str,
) -> None:
    inner = b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n"
    send(wire, CUTS[cut](with_length(OFFERS[offer], inner)))
    head, body, rest = answer(wire)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "malformed_json"
    wire.sendall(b"".join(with_length(b"", GOOD)))
    assert read_outputs(wire, rest) == (OUTPUTS, b"")


@pytest.mark.parametrize("offer", OFFERS)
def test_pipelined_offers_are_answered_in_order(
    wire: socket.socket,
    offer: str,
) -> None:
    livez = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFERS[offer] + b"\r\n"
    posts = [
        b"".join(framing(OFFERS[offer], b'{"inputs": %d}' % number))
        for number, framing in enumerate((with_length, chunked, with_length))
    ]
    wire.sendall(livez + livez.join(posts) + livez)
    rest = b""
    for wanted in (0.5, 0.7310586, 0.880797):
        _, body, rest = answer(wire, rest)
        assert json.loads(body) == {"status": "ok"}
        outputs, rest = read_outputs(wire, rest)
        assert outputs == pytest.approx(wanted)
    assert json.loads(answer(wire, rest)[1]) == {"status": "ok"}


def test_very_many_offers_in_one_packet(wire: socket.socket) -> None:
    livez = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFERS["h2c, kept"] + b"\r\n"
    wire.sendall(livez * 1500)
    rest = b""
    for _ in range(1500):
        head, _, rest = answer(wire, rest)
        assert head.startswith(b"HTTP/1.1 200 ")
    assert rest == b""


@pytest.mark.parametrize(
    "request_line", [b"CONNECT example:443", b"PRI *", b"CONNECT /sigmoid"]
)
def test_tunnels_and_other_versions_are_refused(
    wire: socket.socket,
    request_line: bytes,
) -> None:
    version = b"2.0\r\n\r\nSM" if request_line.startswith(b"PRI") else b"1.1"
    wire.sendall(request_line + b" HTTP/" + version + b"\r\nHost: x\r\n\r\nGET /livez")
    head, body, rest = answer(wire)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    assert json.loads(body)["code"] == "malformed_request"
    assert rest + wire.recv(1) == b""


_ASK = """
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Ask {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (int turn = 0; turn < 3; turn++) {
      for (String path : new String[] {"/sigmoid", "/models/digits/predict?"}) {
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + path))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(arguments[1]))
            .build();
        HttpResponse<String> response =
            client.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.version());
        URL address = URI.create(arguments[0] + path).toURL();
        HttpURLConnection older = (HttpURLConnection) address.openConnection();
        older.setDoOutput(true);
        older.setRequestProperty("Content-Type", "application/json");
        older.getOutputStream().write(arguments[1].getBytes());
        System.out.println(older.getResponseCode() + " " + older.getContentType());
      }
    }
  }
}
"""


@pytest.mark.skipif(
    not shutil.which("java") and "CI" not in os.environ, reason="there is no Java"
)
def test_the_default_clients_of_java(client: httpx.Client, tmp_path: Path) -> None:
    """The newer one offers HTTP/2; the older one accepts `*; q=.2`."""
    source = tmp_path / "Ask.java"
    source.write_text(_ASK)
    body = json.dumps({"inputs": [[0.5] * 64]})
    done = subprocess.run(
        ["java", str(source), str(client.base_url).rstrip("/"), body],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    answers = ["200 HTTP_1_1", "200 application/json"] * 6
    assert done.stdout.split("\n")[:-1] == answers, done.stderr
