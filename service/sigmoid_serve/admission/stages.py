"""The stages of a request, as the header `Server-Timing` names them."""

from typing import Final

PARSE: Final = 0
QUEUE: Final = 1
INFER: Final = 2
ENCODE: Final = 3
NO_STAGE: Final = 4

STAGES: Final = ("parse", "queue", "infer", "encode")
