"""A service that tests share; whoever ends it has another started for the next."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.registry.test_reloading import Served, put
from tests.running import until_ready


def log_of(found: Served) -> str:
    """Read what it has logged."""
    return (found.models.parent / "log").read_text()


def starts(found: Served) -> int:
    """Count the processes that it has started."""
    return log_of(found).count("Started server process")


def put_back(found: Served) -> None:
    """Serve the first version of `m` and `other` again."""
    until_ready(found.client)
    for name, seed in (("m", 1), ("other", 9)):
        shutil.rmtree(found.models / name)
        put(found.models / name / "1" / "model.safetensors", seed)
        response = found.reload(name)
        assert response.status_code == 200, response.text


class Standing:
    """Runs until a test ends it, or fails; the next test then has another started.

    Tests may come in any order: who ends it may not be the last.

    Args:
        folder: For the folders of the services.
        serve: Runs one in a folder.
        put_back: Makes it what it was at its start.
    """

    def __init__(
        self,
        folder: Path,
        serve: Callable[[Path], AbstractContextManager[Served]],
        put_back: Callable[[Served], None] = put_back,
    ) -> None:
        self._folder, self._serve, self._put_back = folder, serve, put_back
        self._stack = ExitStack()
        self._found: Served | None = None
        self._starts = 0

    @contextmanager
    def use(self) -> Iterator[Served]:
        """Lend the service, as it was at its start."""
        try:
            if self._found is None:
                self._found = self._start()
            else:
                self._put_back(self._found)
            yield self._found
        except BaseException:
            self.close()  # who knows what is left of it
            raise
        if self._found.process.poll() is not None:
            self.close()

    def _start(self) -> Served:
        self._starts += 1
        folder = self._folder / str(self._starts)
        folder.mkdir(parents=True)
        return self._stack.enter_context(self._serve(folder))

    def close(self) -> None:
        """End the service, if it runs."""
        self._found = None
        self._stack.close()
