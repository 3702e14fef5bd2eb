"""`python -m service` is `sigmoid-serve`."""

from service.cli import main

if __name__ == "__main__":
    main()
