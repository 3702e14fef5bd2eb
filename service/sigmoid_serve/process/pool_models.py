"""Two-phase commit of models in all workers: all of them are updated, or none."""

from collections.abc import Collection, Sequence
from itertools import count
from typing import Final

from sigmoid_serve.process.broadcast import Broadcast
from sigmoid_serve.process.heartbeat import CHECK_SECONDS
from sigmoid_serve.process.messages import Abort, Commit, Committed, Prepare, Prepared
from sigmoid_serve.process.pool import WorkerPool
from sigmoid_serve.process.served_files import ServedFiles
from sigmoid_serve.process.spawning import Worker
from sigmoid_serve.registry.reloading import FoundFiles, ReloadError
from sigmoid_serve.repository.load_problems import LoadProblem
from sigmoid_serve.repository.model_repository import CheckpointContent

# A worker that takes longer to commit is killed. Checks are counted, not seconds, as
# all processes may be stopped for a while.
_MAX_COMMIT_CHECKS: Final = 10


class PoolModels:
    """The models of all workers; see `sigmoid_serve.registry.reloader.ServedModels`.

    Args:
        pool: The workers.
        served_files: What they serve.
    """

    def __init__(self, pool: WorkerPool, served_files: ServedFiles) -> None:
        self._pool = pool
        self._served_files = served_files
        self._numbers = count(1)
        self._updates: dict[str, int] = {}
        self._accepted: dict[str, FoundFiles] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything serves yet."""
        return self._pool.has_served

    @property
    def served(self) -> Collection[str]:
        """Name the models that serve."""
        return self._served_files.models

    @property
    def unloaded(self) -> Collection[str]:
        """Name the models that were unloaded."""
        return self._served_files.unloaded

    @property
    def passed_over(self) -> Sequence[LoadProblem]:
        """List the problems of all models."""
        return self._served_files.passed_over

    async def prepare(self, name: str, found: FoundFiles) -> None:
        """Have all workers load the files of a model, beside the versions that serve.

        Raises:
            ReloadError: The model keeps its running versions.
        """
        replies: Sequence[Prepared] = ()
        if found.contents:
            broadcast = await self._prepare_workers(name, found.contents)
            replies = broadcast.replies
            if broadcast.has_lost_worker or not replies:
                reason = "a worker exited before it had loaded it; ask again"
                raise ReloadError(reason, found.problems)
        problems = [reply.problems for reply in replies]
        self._accepted[name] = self._served_files.accept(name, found, problems)

    async def prepare_unload(self, name: str) -> None:
        """Wait for workers that still load the model; see `registry.reloader`.

        One that exits meanwhile is replaced by one that is never told of the model.
        """
        await self._prepare_workers(name, ())
        self._accepted[name] = FoundFiles([], [])

    async def _prepare_workers(
        self, name: str, contents: Sequence[CheckpointContent]
    ) -> Broadcast[Worker]:
        update = self._updates[name] = next(self._numbers)
        with self._pool.broadcast(Prepare(update, contents), Prepared) as broadcast:
            await broadcast.wait()
        return broadcast

    async def commit(self, name: str) -> Sequence[LoadProblem]:
        """Have all workers serve what they prepared; return the model's problems."""
        accepted = self._accepted.pop(name)
        # Before the broadcast: a worker that registers from now on gets these files.
        self._served_files.commit(name, accepted)
        unloaded = self._served_files.unloaded
        update = self._updates.pop(name)
        await self._tell_workers(Commit(update, self.passed_over, unloaded))
        return accepted.problems

    async def abort(self, name: str, problems: Sequence[LoadProblem] | None) -> None:
        """Have all workers forget what they prepared; see `registry.reloader`."""
        self._accepted.pop(name, None)
        if problems is not None:
            self._served_files.pass_over(name, problems)
        await self._tell_workers(Abort(self._updates.pop(name, 0), self.passed_over))

    async def _tell_workers(self, message: Commit | Abort) -> None:
        with self._pool.broadcast(message, Committed) as broadcast:
            for _ in range(_MAX_COMMIT_CHECKS):
                if await broadcast.wait(CHECK_SECONDS):
                    return
            for worker in broadcast.pending:
                self._pool.kill(worker, "did not commit an update in time")
