"""The benchmark of the service: servers, load, figures, targets, tables, plots."""


class BenchmarkError(Exception):
    """What ends the benchmark, in one sentence."""
