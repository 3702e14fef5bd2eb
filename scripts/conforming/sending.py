"""Sends a case, and says what came."""

from typing import NamedTuple

import httpx

from conforming.case import Case, Request

_SHOWN = 160
# Of the client itself; a case says all that it sends.
_QUIET = {"Accept-Encoding": "", "User-Agent": "conformance"}


class Outcome(NamedTuple):
    """What came.

    Attributes:
        came: Status and body, in one line.
        fault: Why it is not what the list says; empty where it is.
    """

    came: str
    fault: str


def try_case(client: httpx.Client, case: Case) -> Outcome:
    """Send a case, and what goes before and after it."""
    try:
        response = _between(client, case)
    except httpx.HTTPError as error:
        return Outcome("no answer", str(error))
    return Outcome(_came(response), _fault(case, response))


def _between(client: httpx.Client, case: Case) -> httpx.Response:
    for request in case.before:
        _prepare(client, request)
    try:
        return _send(client, case.request)
    finally:
        for request in case.after:
            _prepare(client, request)


def _prepare(client: httpx.Client, request: Request) -> None:
    response = _send(client, request)
    if response.status_code != 200:
        raise httpx.HTTPError(f"{request.path} was answered with {_came(response)}")


def _send(client: httpx.Client, request: Request) -> httpx.Response:
    return client.request(
        request.method,
        request.path,
        content=request.body,
        headers={**_QUIET, **request.headers},
    )


def _fault(case: Case, response: httpx.Response) -> str:
    if response.status_code != case.status:
        return f"status {response.status_code} in place of {case.status}"
    try:
        return "" if case.check(response) else "the answer is not the one in the list"
    except (ValueError, KeyError, TypeError) as error:
        return f"the answer cannot be read: {error!r}"


def _came(response: httpx.Response) -> str:
    text = response.content[:_SHOWN].decode(errors="replace")
    shown = "".join(c if c.isprintable() else "·" for c in text)
    return f"{response.status_code} {shown}{'…' * (len(response.content) > _SHOWN)}"
