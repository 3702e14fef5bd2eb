"""The command that makes API keys."""

import sys
from typing import Annotated

import typer


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is, for the log.")],
    admin: Annotated[
        bool, typer.Option("--admin", help="It also opens what changes the models.")
    ] = False,
) -> None:
    """Make an API key: print it, and below it the line for the file of keys.

    The key is shown this once; the line, for the file of SIGMOID_API_KEYS_FILE, has
    only its hash.
    """
    from sigmoid_serve.http.authentication import new_key

    made, line = new_key(name, is_admin=admin)
    print(made, line, sep="\n")
    if sys.stdout.isatty():
        print(
            "The first line is the key, for Authorization: Bearer KEY. Append the "
            "second to the file of SIGMOID_API_KEYS_FILE.",
            file=sys.stderr,
        )
