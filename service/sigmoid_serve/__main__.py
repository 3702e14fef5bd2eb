"""`python -m sigmoid_serve` is `sigmoid-serve`: both begin here."""

import os

from sigmoid_serve.interrupts import end_on_interrupt, end_on_termination


def main() -> None:
    """Run the command line; Ctrl-C is one line while it is still being imported."""
    end_on_interrupt()
    end_on_termination()
    # Networks are PyTorch's to compute. The threads of NumPy's pool would spin beside
    # them, already when NumPy is imported; hence here, before anything imports it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from sigmoid_serve.cli.commands import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
