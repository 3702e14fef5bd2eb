"""Requests whose cost is in their heads, or in their number."""

from typing import Final

from fuzzing.cost.framing import PATHS, body_kinds, chunked_kind
from fuzzing.cost.space import Kind, Request, Span, Values

_NAMES: Final = (
    *("Accept", "Content-Type", "Authorization", "Content-Encoding", "Cookie"),
    *("X-Request-ID", "Accept-Encoding", "Origin", "Connection", "X-A", "Expect"),
    *("Forwarded", "If-None-Match", "Transfer-Encoding", "Upgrade", "Keep-Alive"),
    *("Access-Control-Request-Headers", "Range", "Host", "TE"),
)
_UNITS: Final = {
    "commas": ",",
    "types": "a/b,",
    "json": "application/json,",
    "npy": "application/x-npy;q=0.1,",
    "all": "*/*;q=0.5,",
    "parameters": ";a=b",
    "quoted": ';a="\\"',
    "quotes": '"',
    "open": ';a="b\\',
    "semicolons": ";",
    "spaces": " ",
    "tabs": "\t ",
    "letters": "a",
    "words": "a ",
    "equals": "=",
    "charset": ";charset=utf-8",
    "weights": ";q=1",
    "digits": "9",
    "gzip": "gzip,",
    "brackets": "(",
    "high": "\xff",
}
_BEGINNINGS: Final = {
    "none": "",
    "json": "application/json",
    "npy": "application/x-npy",
    "bearer": "Bearer ",
    "basic": "Basic ",
    "weight": "*/*;q=0.",
    "charset": 'application/json; charset="',
}
_ROUTES: Final = (
    *("/", "/models", "/models/digits", "/limits", "/metrics", "/openapi.json"),
    *("/docs", "/livez", "/readyz", "/startupz", "/none", "/models/none"),
)
_METHODS: Final = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH")
_SMALL: Final = b'{"inputs":[0]}'


def _message(
    first: str, lines: list[str], body: bytes = b"", is_last: bool = True
) -> bytes:
    end = ["Connection: close"] if is_last else []
    head = [first, "Host: 127.0.0.1", *lines, f"Content-Length: {len(body)}", *end]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def _first(values: Values) -> str:
    return f"{values['method']} {values['path']} HTTP/1.1"


def _fields(values: Values) -> Request:
    unit = _UNITS[str(values["unit"])] * int(values["units"])
    value = _BEGINNINGS[str(values["beginning"])] + unit
    line = f"{values['name']}: {value}"
    lines = [line] * min(int(values["fields"]), 1 + 2**22 // len(line))
    if values["name"] == "Content-Type":
        lines.append("Accept: */*")
    message = _message(_first(values), lines, _SMALL)
    return Request(message, len(message))


_PIECES: Final = {
    "slash": "/",
    "escape": "%41",
    "escaped slash": "%2f",
    "broken escape": "%4",
    "percent": "%",
    "high": "%ff",
    "up": "/..",
    "name": "/models",
    "model": "/models/digits",
    "letter": "a",
    "query": "?",
    "pair": "&a=b",
    "output": "&output=logits",
    "semicolon": ";",
    "plus": "+",
    "colon": ":",
    "accent": "%c3%a9",
}


def _target(values: Values) -> Request:
    piece = _PIECES[str(values["piece"]).replace("-", " ")] * int(values["count"])
    path = f"{values['path']}{'?a=b' if values['query'] == 'yes' else ''}{piece}"
    body = _SMALL if values["method"] in ("POST", "PUT", "PATCH") else b""
    lines = ["Content-Type: application/json"]
    message = _message(f"{values['method']} {path} HTTP/1.1", lines, body)
    return Request(message, len(message))


def _body_of_get(values: Values) -> Request:
    body = b"0" * int(values["length"])
    if values["chunked"] == "no":
        message = _message(_first(values), [], body)
        return Request(message, len(message))
    head = f"{_first(values)}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    message = head.encode() + b"Connection: close\r\n\r\n%x\r\n" % len(body)
    message += body + b"\r\n0\r\n\r\n"
    return Request(message, len(message))


_ASKED: Final = {
    "livez": ("GET /livez HTTP/1.1", b""),
    "models": ("GET /models HTTP/1.1", b""),
    "card": ("GET /models/digits HTTP/1.1", b""),
    "none": ("GET /none HTTP/1.1", b""),
    "sigmoid": ("POST /sigmoid HTTP/1.1", _SMALL),
    "bad": ("POST /sigmoid HTTP/1.1", b"{"),
    "predict": ("POST /models/digits/predict HTTP/1.1", b'{"inputs":[0]}'),
    "row": (
        "POST /predict HTTP/1.1",
        b'{"inputs":[' + b",".join([b"1"] * 30) + b"]}",
    ),
}


def _pipelined(values: Values) -> Request:
    first, body = _ASKED[str(values["asked"])]
    lines = ["Content-Type: application/json"]
    count = int(values["count"])
    one = _message(first, lines, body, is_last=False)
    message = one * (count - 1) + _message(first, lines, body)
    return Request(message, len(message), count)


def _no_http(values: Values) -> Request:
    unit = bytes.fromhex(str(values["unit"]))
    message = (unit * int(values["count"]))[: 2**24]
    return Request(message, len(message))


def kinds() -> list[Kind]:
    """List all kinds of requests."""
    routes = (*PATHS, *_ROUTES)
    return [
        *body_kinds(),
        chunked_kind(),
        Kind(
            "fields",
            {
                "name": _NAMES,
                "beginning": list(_BEGINNINGS),
                "unit": list(_UNITS),
                "units": Span(1, 2**17),
                "fields": Span(1, 2**15, 16),
                "method": ("POST", "GET", "OPTIONS"),
                "path": ("/sigmoid", "/predict", "/models"),
            },
            _fields,
        ),
        Kind(
            "targets",
            {
                "piece": [piece.replace(" ", "-") for piece in _PIECES],
                "count": Span(1, 2**17),
                "query": ("yes", "no"),
                "method": _METHODS,
                "path": routes,
            },
            _target,
        ),
        Kind(
            "bodies of other routes",
            {
                "length": Span(1, 2**26),
                "chunked": ("yes", "no"),
                "method": _METHODS,
                "path": _ROUTES,
            },
            _body_of_get,
        ),
        Kind(
            "pipelined",
            {"asked": list(_ASKED), "count": Span(1, 2**14, 2**9)},
            _pipelined,
        ),
        Kind(
            "no HTTP",
            {
                "unit": ("0d0a", "00", "20", "16", "61", "610d0a"),
                "count": Span(1, 2**24),
            },
            _no_http,
        ),
    ]
