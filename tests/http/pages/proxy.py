"""A proxy that hands on what comes below a prefix."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.running import PLAIN

# Bodies are not read without them.
CONTENT = ("Content-Type", "Inference-Header-Content-Length")


class Proxy(BaseHTTPRequestHandler):
    """Hands on what comes below a prefix, which it strips or not."""

    prefix = "/api"
    port = 0
    strips = True

    def hand_on(self) -> None:
        if not self.path.startswith(f"{self.prefix}/"):
            self.send_error(404)
            return
        path = self.path.removeprefix(self.prefix) if self.strips else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answered = httpx.request(
            self.command,
            f"http://127.0.0.1:{self.port}{path}",
            content=body,
            verify=PLAIN,
            headers={
                name: value
                for name in ("Accept", "Authorization", *CONTENT)
                if (value := self.headers.get(name))
            },
        )
        self.send_response(answered.status_code)
        for name in ("Location", "Content-Security-Policy", *CONTENT):
            if name in answered.headers:
                self.send_header(name, answered.headers[name])
        self.end_headers()
        self.wfile.write(answered.content)

    do_GET = do_POST = hand_on

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def behind_proxy(client: httpx.Client, *, strips: bool) -> Iterator[str]:
    handler = type(
        "Handler", (Proxy,), {"port": client.base_url.port, "strips": strips}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}{Proxy.prefix}"
        finally:
            proxy.shutdown()
            thread.join()
