"""What is counted of requests, batches and models, under the names of `families`."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from time import perf_counter, time
from typing import NamedTuple

from typing_extensions import Buffer

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import ELEMENTWISE, RequestState
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

_GAUGES_OF_MODEL = (
    "sigmoid_model_load_seconds",
    "sigmoid_model_loaded_timestamp_seconds",
    "sigmoid_model_golden_error",
    "sigmoid_model_last_success_timestamp_seconds",
)


class _Answered(NamedTuple):
    """What counts an answer.

    Attributes:
        add: Called once for each.
        duration: Called with the seconds that it took.
        of_version: Called with these and the seconds per stage, where a version of a
            model was asked.
    """

    add: Callable[[], None]
    duration: Callable[[float], None]
    of_version: Callable[[float, Sequence[float]], None] | None


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
        self._answered: dict[tuple[str, str, str, str], _Answered] = {}
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
        key = (state.route, state.model, state.model_version, code)
        series = self._answered.get(key)
        if series is None:
            series = self._answered[key] = self._make_series(*key, status)
        add, duration, of_version = series
        add()
        # The stages have just ended, where there were any.
        seconds = (state.since or perf_counter()) - state.began
        duration(seconds)
        if of_version:
            of_version(seconds, state.seconds)
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

    def _make_series(
        self, route: str, model: str, number: str, code: str, status: int
    ) -> _Answered:
        metrics = self.metrics
        of_version = None
        if number:
            # The native route of the elementwise sigmoid names no model.
            place = model or ELEMENTWISE, number
            make = self._on_success if code == OK else self._on_failure
            of_version = make(*place)
        return _Answered(
            metrics.counter(
                "sigmoid_requests_total", route, model, str(status), code
            ).add,
            metrics.histogram("sigmoid_request_duration_seconds", route).observe,
            of_version,
        )

    def _on_success(
        self, model: str, number: str
    ) -> Callable[[float, Sequence[float]], None]:
        counter = self.metrics.counter
        place = model, number
        count = counter("sigmoid_model_requests_total", *place, "success").cells
        total = counter("sigmoid_model_request_seconds_total", *place, "success").cells
        parse, queue, infer, encode = (
            counter("sigmoid_model_stage_seconds_total", *place, stage).cells
            for stage in STAGES
        )
        name = "sigmoid_model_last_success_timestamp_seconds"
        last = self.metrics.gauge(name, *place).set

        def succeeded(seconds: float, stages: Sequence[float]) -> None:
            count[0] += 1.0
            total[0] += seconds
            parse[0] += stages[0]
            queue[0] += stages[1]
            infer[0] += stages[2]
            encode[0] += stages[3]
            last(time())

        return succeeded

    def _on_failure(
        self, model: str, number: str
    ) -> Callable[[float, Sequence[float]], None]:
        counter = self.metrics.counter
        place = model, number, "failure"
        count = counter("sigmoid_model_requests_total", *place).add
        total = counter("sigmoid_model_request_seconds_total", *place).add

        def failed(seconds: float, _stages: Sequence[float]) -> None:
            count()
            total(seconds)

        return failed

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
        batches = self.metrics.counter("sigmoid_model_batches_total", model, number)
        batch_rows = self._batch_rows

        def count(rows: int) -> None:
            rows_total.add(rows)
            batches.add()
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
        for name in _GAUGES_OF_MODEL:
            self.metrics.gauge(name, model, number).forget()

    def update_gauges(self, queue: AdmissionLimit, is_ready: bool) -> None:
        """Note how things are at the moment."""
        gauge = self.metrics.gauge
        gauge("sigmoid_inflight_elements").set(queue.elements)
        gauge("sigmoid_inflight_limit_elements").set(queue.limit)
        gauge("sigmoid_ready").set(is_ready)
        self._usage.update()
