"""Why we answer otherwise than the tests and documents of other servers do."""

from collections.abc import Mapping
from typing import Final

REASONS: Final[Mapping[str, str]] = {
    "400": "What is wrong with a request is 400, as the specification says, not 422.",
    "404": "Documentation is at `/docs` and `/openapi.json`, for all models together.",
    "415": "A body whose coding is not known is 415, as HTTP has it, not 501.",
    "503": "A model that was unloaded is known: it is 503 until it is loaded, not 404.",
    "coding": "Answers are compressed where one coding is asked for, not several.",
    "echo": "Parameters and headers of a request are not sent back; its id is.",
    "fp16": "FP16 and BF16 are taken and given as JSON, too, as Triton's client does.",
    "id": "An id is sent back; where none came, none is made up.",
    "integers": "An integer that does not fit its datatype is refused, not wrapped.",
    "null": "`null` and NaN are refused: no model here has an answer to them.",
    "numbers": "The models take numbers: BOOL and BYTES are refused as input.",
    "one": "Every model has one input, `inputs`.",
    "strict": "A name that stands twice in an object is refused: which one is meant?",
    "text": "There is no generation of text.",
}
