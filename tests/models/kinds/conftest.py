"""The files, made once for all tests."""

import pytest

from tests.models.kinds.all_kinds import KINDS, write_all
from tests.models.kinds.kind import File


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, File]:
    """One file of each kind."""
    return write_all(KINDS, tmp_path_factory.mktemp("kinds"))
