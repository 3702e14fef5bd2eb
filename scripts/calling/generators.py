"""Generators of clients, in environments of their own, and calls with their work.

Each client is a class with a `name`, is made with the folder where environments are
kept, and has a method `call`, which raises a `ClientError` where it does not get what
it should.
"""

import shutil
from pathlib import Path
from typing import Final

from calling.environments import HERE, is_same, python_environment, run

DOCUMENT: Final = "openapi.json"
"""The document of the server that is called, in the folder of a call."""

_PACKAGES: Final = "package-lock.json"


class PythonClient:
    """A client that openapi-python-client makes; its environment also has a validator.

    Args:
        cache: Folder for the environment, which is made once.
    """

    name = "openapi-python-client"

    def __init__(self, cache: Path) -> None:
        self._programs = python_environment(cache / "python", "clients.txt")

    def call(self, url: str, key: str, folder: Path) -> None:
        """Validate the document, make a client of it, and call a server with it.

        Args:
            url: Of the server.
            key: That it asks for, or nothing.
            folder: Has the document, and gets what is made.
        """
        document = str(folder / DOCUMENT)
        run([str(self._programs / "openapi-spec-validator"), document])
        options = ("--meta", "none", "--overwrite", "--path", document)
        command = ["generate", *options, "--output-path", str(folder / "generated")]
        run([str(self._programs / "openapi-python-client"), *command])
        script = str(HERE / "python_client.py")
        environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
        run([str(self._programs / "python"), script, url, key], environment)


class TypeScriptClient:
    """A client of openapi-fetch, with the types that openapi-typescript makes.

    Args:
        cache: Folder for the packages, which are installed once.
    """

    name = "openapi-typescript"

    def __init__(self, cache: Path) -> None:
        self._home = cache / "typescript"
        sources = HERE / "typescript"
        if not is_same(self._home / "installed.json", sources / _PACKAGES):
            shutil.rmtree(self._home, ignore_errors=True)
            shutil.copytree(sources, self._home)
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
            run(["npm", "ci", *options], folder=self._home)
            shutil.copy(sources / _PACKAGES, self._home / "installed.json")
        for name in ("call.ts", "tsconfig.json"):
            shutil.copy(sources / name, self._home)

    def call(self, url: str, key: str, folder: Path) -> None:
        """Make types, compile what calls a server with them, and run it.

        Args:
            url: Of the server.
            key: That it asks for, or nothing.
            folder: Has the document.
        """
        programs = self._home / "node_modules" / ".bin"
        types = str(self._home / "schema.d.ts")
        document = str(folder / DOCUMENT)
        run([str(programs / "openapi-typescript"), document, "--output", types])
        run([str(programs / "tsc"), "--project", "."], folder=self._home)
        run(["node", "out/call.js", url, key], folder=self._home)
