"""What is counted of requests, batches and models, under the names of `families`."""

from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter, time

from typing_extensions import Buffer

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import STAGES
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.monitoring.metrics import Metrics
from sigmoid_serve.monitoring.process_usage import ProcessUsage

OK = "ok"
_REJECTS = (
    "queue_full",
    "draining",
    "not_ready",
    "out_of_memory",
    "too_many_connections",
)


class Telemetry:
    """The series of one process.

    Args:
        memory: Of the metrics of all processes.
        slab: Of this process; see `sigmoid_serve.monitoring.metrics`.

    Attributes:
        memory: As given.
        metrics: That this process writes.
    """

    def __init__(self, memory: Buffer, slab: int) -> None:
        self.memory = memory
        self.metrics = metrics = Metrics(memory, slab)
        self._answered: dict[
            tuple[str, str, str], tuple[Callable[[], None], Callable[[float], None]]
        ] = {}
        self._usage = ProcessUsage(metrics)
        self._stages = [
            metrics.histogram("sigmoid_request_stage_duration_seconds", stage).observe
            for stage in STAGES
        ]
        self._batch_rows = metrics.histogram("sigmoid_batch_rows")
        metrics.gauge("sigmoid_workers").set(1)
        metrics.gauge("sigmoid_build_info", version("sigmoid-serve")).set(1)

    def record_response(self, state: RequestState, status: int, code: str) -> None:
        """Count a response, the time that it took and that of its stages.

        Args:
            state: Of the request.
            status: Of HTTP.
            code: `ok`, or that of the problem.
        """
        key = (state.route, state.model, code)
        series = self._answered.get(key)
        if series is None:
            route, model, _ = key
            metrics = self.metrics
            series = self._answered[key] = (
                metrics.counter(
                    "sigmoid_requests_total", route, model, str(status), code
                ).add,
                metrics.histogram("sigmoid_request_duration_seconds", route).observe,
            )
        count, duration = series
        count()
        # The stages have just ended, where there were any.
        duration((state.since or perf_counter()) - state.began)
        parse, queue, infer, encode = self._stages
        parsing, waiting, inferring, encoding, _ = state.seconds
        if parsing:
            parse(parsing)
        if waiting:
            queue(waiting)
        if inferring:
            infer(inferring)
        if encoding:
            encode(encoding)

    def record_error(self, error: Exception) -> None:
        """Count what an error is counted as, beside its answer."""
        metrics = self.metrics
        if isinstance(error, Abandoned):
            metrics.counter("sigmoid_requests_cancelled_total", error.stage).add()
        elif isinstance(error, Expired):
            metrics.counter("sigmoid_requests_timed_out_total", error.stage).add()
        elif isinstance(error, ServiceError) and error.code in _REJECTS:
            metrics.counter("sigmoid_requests_rejected_total", error.code).add()

    def on_batch(self, model: str, number: str) -> Callable[[int], None]:
        """Make the function that counts the batches of a version of a model."""
        rows_total = self.metrics.counter("sigmoid_rows_total", model, number)
        batch_rows = self._batch_rows

        def count(rows: int) -> None:
            rows_total.add(rows)
            batch_rows.observe(rows)

        return count

    def loaded(
        self, model: str, number: str, seconds: float, golden_error: float | None
    ) -> None:
        """Note that a model is served from now on.

        Args:
            model: Its name.
            number: Its version.
            seconds: That it took to load.
            golden_error: Worst of its golden rows; None where it has none.
        """
        gauge = self.metrics.gauge
        gauge("sigmoid_model_load_seconds", model, number).set(seconds)
        gauge("sigmoid_model_loaded_timestamp_seconds", model, number).set(time())
        if golden_error is not None:
            gauge("sigmoid_model_golden_error", model, number).set(golden_error)

    def remove_model(self, model: str, number: str) -> None:
        """Note that a model is served no more."""
        for name in (
            "sigmoid_model_load_seconds",
            "sigmoid_model_loaded_timestamp_seconds",
            "sigmoid_model_golden_error",
        ):
            self.metrics.gauge(name, model, number).forget()

    def update_gauges(self, queue: AdmissionLimit, is_ready: bool) -> None:
        """Note how things are at the moment."""
        gauge = self.metrics.gauge
        gauge("sigmoid_inflight_elements").set(queue.elements)
        gauge("sigmoid_inflight_limit_elements").set(queue.limit)
        gauge("sigmoid_ready").set(is_ready)
        self._usage.update()
