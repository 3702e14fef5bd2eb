"""Answers that are compressed, for clients that ask for it.

HTTP libraries name every content coding that they can read, wanted or not. To compress
numbers takes longer than to send them, so it is done only where a client asks for it:
where it accepts one coding alone, or rules out an answer without one.
"""

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from sigmoid_serve.http.bodies import WINDOWS
from sigmoid_serve.inference.media import Encoding, read_weights
from sigmoid_serve.inference.request import InferenceResponse
from sigmoid_serve.json.text import Check

# Clients send the same few headers again and again.
_CACHED: Final = 64

_OURS: Final[tuple[Encoding, ...]] = ("gzip", "deflate")
_ALIASES: Final = {"x-gzip": "gzip"}

# The fastest: numbers hardly get shorter with more work.
_LEVEL: Final = 1

# Compressed in one call, within a few milliseconds.
_STEP_BYTES: Final = 2**18


@lru_cache(_CACHED)
def wanted_encoding(accept_encoding: bytes | None) -> Encoding | None:
    """Read `Accept-Encoding`: what an answer shall be compressed with.

    Args:
        accept_encoding: The header (RFC 9110, section 12.5.3); None where absent.

    Returns:
        The only coding that it accepts beside `identity`; where it rules out
        `identity`, that of most weight, and of equals the first named. None where this
        is none of ours, or has less weight than `identity`.
    """
    weights = read_weights((accept_encoding or b"").decode("latin-1")) or {}
    weights.pop("", None)
    identity, other = weights.pop("identity", None), weights.pop("*", None)
    named: dict[str, tuple[float, int]] = {}
    for name, weight in weights.items():
        named.setdefault(_ALIASES.get(name, name), weight)
    is_needed = (identity or other or (1.0, 0))[0] == 0
    accepted = [name for name, (weight, _) in named.items() if weight]
    if not is_needed and (len(accepted) != 1 or (other and other[0])):
        return None
    fallback = other or (0.0, 0)
    wanted = max(_OURS, key=lambda coding: named.get(coding, fallback))
    most, _ = named.get(wanted, fallback)
    least = identity[0] if identity else 0.0
    return wanted if most and most >= least else None


def compress(
    response: InferenceResponse, encoding: Encoding, check: Check
) -> InferenceResponse:
    """Compress an answer.

    Args:
        response: Not compressed.
        encoding: With what; `deflate` is a zlib stream, as HTTP has it.
        check: Called again and again; it may raise, and so end the work.

    Returns:
        The same answer in other bytes, equal for equal ones, and a header line that
        names the encoding.
    """
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, WINDOWS[encoding])
    pieces: list[bytes | memoryview] = []
    for step in _steps(response.pieces):
        check()
        pieces.append(deflater.compress(step))
    pieces.append(deflater.flush())
    return response._replace(
        pieces=[piece for piece in pieces if piece],
        headers=(*response.headers, (b"content-encoding", encoding.encode())),
    )


def _steps(pieces: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _STEP_BYTES):
            yield view[start : start + _STEP_BYTES]
