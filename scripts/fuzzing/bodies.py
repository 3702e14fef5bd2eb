"""Bodies to the application, each answer judged."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from starlette.types import ASGIApp

from fuzzing.application import ask, make_application, served_models
from fuzzing.campaign import Findings, Outcome, run_campaign
from fuzzing.json_bodies import Model
from fuzzing.judge import answer_code, answer_fault
from fuzzing.oracle import disagreement
from fuzzing.requests import Request, draw_request


def fuzz_bodies(
    seed: int, indices: range, show: Callable[[int], None] = lambda done: None
) -> Findings:
    """Send bodies to the application in this process, on one event loop.

    Args:
        seed: Of what is drawn.
        indices: Of the bodies.
        show: Told now and then how many were sent.
    """
    app = make_application()
    with one_thread(), asyncio.Runner() as runner:
        models = runner.run(served_models(app))
        loop = runner.get_loop()
        return run_campaign(
            indices,
            lambda index: draw_request(seed, index, models),
            lambda request: _outcome(app, loop, models, request),
            show,
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: several that must share a core wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _outcome(
    app: ASGIApp, loop: AbstractEventLoop, models: Sequence[Model], request: Request
) -> Outcome:
    answer = loop.run_until_complete(ask(app, request))
    fault = answer_fault(request, answer) or disagreement(request, answer, models)
    return Outcome(answer_code(answer), fault)
