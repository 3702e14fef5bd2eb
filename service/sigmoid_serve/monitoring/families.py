"""The metrics: their names, which are public, and what they mean."""

from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    """Series of one name.

    Attributes:
        name: In full; that of a counter ends in `_total`.
        kind: Of its series.
        help: What is measured, in one sentence.
        labels: Names of the labels.
        bounds: Upper bounds of a histogram's buckets, increasing, without +Inf.
        merge: How the values of the processes become one.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Literal["sum", "max", "min"] = "sum"

    @property
    def cells(self) -> int:
        """Number of cells of one series."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


_MODEL: Final = ("model", "version")
# From 10 µs to 30 s.
_SECONDS: Final = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_ROWS: Final = tuple(2.0**power for power in range(13))

FAMILIES: Final = {
    family.name: family
    for family in (
        Family(
            "sigmoid_requests_total",
            "counter",
            "Requests that were answered, by the response's HTTP status (code) and its "
            "problem's code or ok (reason).",
            ("route", "model", "code", "reason"),
        ),
        Family(
            "sigmoid_rows_total", "counter", "Rows whose logits were computed.", _MODEL
        ),
        Family(
            "sigmoid_model_requests_total",
            "counter",
            "Requests to a version of a model that were answered; the result is "
            "success or failure.",
            (*_MODEL, "result"),
        ),
        Family(
            "sigmoid_model_request_seconds_total",
            "counter",
            "Seconds from when the headers of these requests had arrived until their "
            "responses were made.",
            (*_MODEL, "result"),
        ),
        Family(
            "sigmoid_model_stage_seconds_total",
            "counter",
            "Seconds that the requests to it that succeeded spent in a stage.",
            (*_MODEL, "stage"),
        ),
        Family(
            "sigmoid_model_batches_total",
            "counter",
            "Batches of rows that were computed.",
            _MODEL,
        ),
        Family(
            "sigmoid_requests_rejected_total",
            "counter",
            "Requests that were rejected because of overload or the service's state.",
            ("reason",),
        ),
        Family(
            "sigmoid_requests_timed_out_total",
            "counter",
            "Requests that reached a timeout before they were computed.",
            ("stage",),
        ),
        Family(
            "sigmoid_requests_cancelled_total",
            "counter",
            "Requests whose client disconnected before they were computed, or did not "
            "read the response.",
            ("stage",),
        ),
        Family(
            "sigmoid_reloads_total",
            "counter",
            "Reloads of a model; the result is success or failure.",
            ("model", "result"),
        ),
        Family(
            "sigmoid_unloads_total",
            "counter",
            "Unloads of a model; the result is success or failure.",
            ("model", "result"),
        ),
        Family(
            "sigmoid_worker_restarts_total",
            "counter",
            "Worker processes that exited unexpectedly and were restarted.",
        ),
        Family(
            "sigmoid_log_lines_dropped_total",
            "counter",
            "Log lines that could not be written and were dropped.",
        ),
        Family(
            "sigmoid_request_duration_seconds",
            "histogram",
            "Seconds from when a request's headers had arrived until its response "
            "was made.",
            ("route",),
            _SECONDS,
        ),
        Family(
            "sigmoid_request_stage_duration_seconds",
            "histogram",
            "Seconds that a request spent in a stage.",
            ("stage",),
            _SECONDS,
        ),
        Family(
            "sigmoid_batch_rows",
            "histogram",
            "Rows in a batch that was computed.",
            bounds=_ROWS,
        ),
        Family(
            "sigmoid_inflight_elements",
            "gauge",
            "Tensor elements of the requests that are in flight.",
        ),
        Family(
            "sigmoid_inflight_limit_elements",
            "gauge",
            "Limit of tensor elements in flight, summed over the workers.",
        ),
        Family(
            "sigmoid_model_load_seconds",
            "gauge",
            "Seconds that it took to load the model.",
            _MODEL,
            merge="max",
        ),
        Family(
            "sigmoid_model_loaded_timestamp_seconds",
            "gauge",
            "When the model was loaded, as a Unix time.",
            _MODEL,
            merge="max",
        ),
        Family(
            "sigmoid_model_golden_error",
            "gauge",
            "Worst |got - want| / max(1, |want|) of the model's golden rows.",
            _MODEL,
            merge="max",
        ),
        Family(
            "sigmoid_model_last_success_timestamp_seconds",
            "gauge",
            "When it last answered a request that succeeded, as a Unix time.",
            _MODEL,
            merge="max",
        ),
        Family(
            "sigmoid_ready",
            "gauge",
            "1 if every worker is ready, else 0.",
            merge="min",
        ),
        Family("sigmoid_workers", "gauge", "Worker processes that are running."),
        Family(
            "sigmoid_build_info",
            "gauge",
            "Always 1; the label is the version of sigmoid-serve.",
            ("version",),
            merge="max",
        ),
        Family(
            "process_cpu_seconds_total",
            "counter",
            "User and system CPU time, summed over the processes.",
        ),
        Family(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory, summed over the processes.",
        ),
        Family(
            "process_virtual_memory_bytes",
            "gauge",
            "Virtual memory, summed over the processes.",
        ),
        Family(
            "process_start_time_seconds",
            "gauge",
            "When the oldest process started, as a Unix time.",
            merge="min",
        ),
        Family(
            "process_open_fds",
            "gauge",
            "Open file descriptors, summed over the processes.",
        ),
        Family(
            "process_max_fds",
            "gauge",
            "Limit of open file descriptors, summed over the processes.",
        ),
    )
}
