"""A service that tests share, in the state of a new one for each."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.registry.test_reloading import Served, put
from tests.running import until_ready


class Standing:
    """Runs until a test ends it, or fails; the next test then has another started.

    Args:
        folder: For the folders of the services.
        serve: Runs one in a folder, with two models, `m` and `other`.
    """

    def __init__(
        self, folder: Path, serve: Callable[[Path], AbstractContextManager[Served]]
    ) -> None:
        self._folder, self._serve = folder, serve
        self._stack = ExitStack()
        self._found: Served | None = None
        self._starts = 0

    @contextmanager
    def use(self) -> Iterator[Served]:
        """Lend the service, with the models that it was started with."""
        try:
            if self._found is None:
                self._found = self._start()
            else:
                _put_back(self._found)
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


def _put_back(found: Served) -> None:
    until_ready(found.client)
    for name, seed in (("m", 1), ("other", 9)):
        shutil.rmtree(found.models / name)
        put(found.models / name / "1" / "model.safetensors", seed)
        response = found.reload(name)
        assert response.status_code == 200, response.text
