"""`python -m sigmoid_serve` is `sigmoid-serve`: both begin here."""

from sigmoid_serve.interrupts import end_on_interrupt


def main() -> None:
    """Run the command line; Ctrl-C is one line while it is still being imported."""
    end_on_interrupt()
    from sigmoid_serve.cli.commands import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
