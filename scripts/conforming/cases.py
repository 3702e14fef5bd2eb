"""All cases, in the order in which they are sent."""

from typing import Final

from conforming import (
    of_kserve,
    of_kserve_client,
    of_mlserver,
    of_mlserver_codecs,
    of_the_extensions,
    of_the_framing,
    of_the_protocol,
)
from conforming.case import Case

CASES: Final[tuple[Case, ...]] = (
    *of_mlserver.CASES,
    *of_mlserver_codecs.CASES,
    *of_kserve.CASES,
    *of_kserve_client.CASES,
    *of_the_protocol.CASES,
    *of_the_extensions.CASES,
    *of_the_framing.CASES,
)
