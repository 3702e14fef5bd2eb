"""Many batches of rows, one after the other, computed side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from sigmoid_models.dtype import Float64Array
from sigmoid_serve.engine.device import shared_by, use_one_thread
from sigmoid_serve.engine.engine import Engine, Prediction

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """Yield what `work` makes of each item, in their order.

    No more items are taken than threads can begin with, and one: what is held does not
    grow with their number. The first error in the order is raised.

    Args:
        work: Called on threads, side by side.
        items: Taken by the caller's thread.
        threads: How many there are.
    """
    executor = ThreadPoolExecutor(threads, "rows", initializer=use_one_thread)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def computing(engine: Engine) -> Callable[[Float64Array], Prediction]:
    """Return what computes rows on any of several threads.

    A GPU, and PyTorch's threads that share a large layer, take one batch at a time.
    """
    if engine.device.type == "cpu" and engine.shared_by == 1:
        return engine.predict
    turn = Lock()

    def compute(rows: Float64Array) -> Prediction:
        with turn, shared_by(engine.shared_by):
            return engine.predict(rows)

    return compute
