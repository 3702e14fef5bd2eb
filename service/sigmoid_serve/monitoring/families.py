"""The metrics: their names, which stay as they are, and what they mean."""

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
            "Answered requests; the code is ok or that of the problem.",
            ("route", "model", "status", "code"),
        ),
        Family(
            "sigmoid_rows_total", "counter", "Rows whose logits were computed.", _MODEL
        ),
        Family(
            "sigmoid_rejects_total",
            "counter",
            "Requests that were turned away.",
            ("code",),
        ),
        Family(
            "sigmoid_expiries_total",
            "counter",
            "Requests that waited longer than the timeout and were not computed.",
            ("stage",),
        ),
        Family(
            "sigmoid_abandoned_total",
            "counter",
            "Requests whose client went away and that were not computed, or whose "
            "answer it did not read.",
            ("stage",),
        ),
        Family(
            "sigmoid_reloads_total",
            "counter",
            "Changes of a model's files; the result is swapped or refused.",
            ("model", "result"),
        ),
        Family(
            "sigmoid_worker_restarts_total",
            "counter",
            "Workers that died and were replaced.",
        ),
        Family(
            "sigmoid_log_lines_dropped_total",
            "counter",
            "Lines of the log that could not be written and were dropped.",
        ),
        Family(
            "sigmoid_stage_seconds",
            "histogram",
            "Seconds that a request spent in a stage.",
            ("stage",),
            _SECONDS,
        ),
        Family(
            "sigmoid_batch_rows",
            "histogram",
            "Rows that were computed at once.",
            bounds=_ROWS,
        ),
        Family(
            "sigmoid_queue_elements",
            "gauge",
            "Elements of tensors that were let in and are not answered yet.",
        ),
        Family(
            "sigmoid_queue_limit_elements",
            "gauge",
            "Most elements of tensors that are let in at once.",
        ),
        Family(
            "sigmoid_model_load_seconds",
            "gauge",
            "Seconds that loading the model took.",
            _MODEL,
            merge="max",
        ),
        Family(
            "sigmoid_model_loaded_timestamp_seconds",
            "gauge",
            "When the model was loaded, in seconds since 1970.",
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
            "sigmoid_ready",
            "gauge",
            "1 where every worker is ready, else 0.",
            merge="min",
        ),
        Family("sigmoid_workers", "gauge", "Workers that run."),
        Family(
            "sigmoid_build_info",
            "gauge",
            "Always 1; the version of this program.",
            ("version",),
            merge="max",
        ),
    )
}
