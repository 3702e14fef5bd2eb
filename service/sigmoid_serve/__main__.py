"""`python -m sigmoid_serve` is `sigmoid-serve`."""

from sigmoid_serve.cli.commands import main

if __name__ == "__main__":
    main()
