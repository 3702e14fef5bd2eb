"""What is over a limit of the server is asked in parts, and told as a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sigmoid_serve import InvalidInputError
from sigmoid_serve.configuration.settings import Settings
from tests.admission.test_queue import serving
from tests.client.conftest import calling, client_of
from tests.client.test_inputs import assert_bits

RNG = np.random.default_rng(1)
ROWS = RNG.normal(size=(20_000, 4)).astype(np.float32)

TIGHT = Settings(
    max_elements=30_000, max_body_bytes=70_000, max_rows=5_000, max_answer_bytes=100_000
)
NARROW = Settings(max_elements=100, max_body_bytes=4_000, max_answer_bytes=4096)


@pytest.fixture(scope="module")
def want(small: Path) -> Any:
    """Of a server that takes all at once."""
    with calling("sync-app", checkpoints=[small]) as client:
        return client.predict(ROWS)


@pytest.fixture(scope="module")
def tight(way: str, small: Path) -> Iterator[Any]:
    with calling(way, TIGHT, [small]) as client:
        yield client


@pytest.fixture(scope="module")
def narrow(way: str, small: Path) -> Iterator[Any]:
    with calling(way, NARROW, [small]) as client:
        yield client


def assert_same(got: Any, want: Any, rows: int = len(ROWS)) -> None:
    assert_bits(got.probabilities, want.probabilities[:rows])
    assert_bits(got.logits, want.logits[:rows])
    assert got.labels.tolist() == want.labels[:rows].tolist()


def test_many_rows(tight: Any, want: Any) -> None:
    for rows in (ROWS, pd.DataFrame(ROWS), ROWS.astype(np.float64)):
        assert_same(tight.predict(rows), want)
    some = ROWS[:6000]
    assert_same(tight.predict(some.tolist()), want, 6000)
    shaped = tight.predict(ROWS.reshape(2, 10_000, 4))
    assert_bits(shaped.logits, want.logits.reshape(2, 10_000, 3))
    assert shaped.labels.shape == (2, 10_000)
    values = ROWS[:10_000].T
    whole = tight.sigmoid(values)
    assert_bits(whole.T, tight.sigmoid(values.T.tolist()))
    assert_bits(whole[:, :7], tight.sigmoid(values[:, :7]))
    for dtype in ("float16", "bfloat16"):
        part = tight.sigmoid(values, dtype=dtype)
        assert_bits(part[:, :7], tight.sigmoid(values[:, :7].tolist(), dtype=dtype))


def test_few_rows_over_small_limits(narrow: Any, want: Any) -> None:
    some = ROWS[:400]
    for rows in (some, some.tolist(), pd.DataFrame(some), list(some)):
        assert_same(narrow.predict(rows), want, 400)
    with pytest.raises(InvalidInputError) as caught:
        narrow.sigmoid([[0.0] * 101])
    assert caught.value.code == "too_many_elements"
    assert "cannot be split" in str(caught.value)


def test_errors_name_the_row_of_the_caller(narrow: Any) -> None:
    rows: list[Any] = ROWS[:400].tolist()
    rows[321] = [*rows[321][:2], True, 0.0]
    with pytest.raises(InvalidInputError) as caught:
        narrow.predict(rows)
    assert caught.value.pointer == "/inputs/321/2"
    assert "expected a number at /inputs/321/2, got a boolean" in str(caught.value)
    rows[321] = rows[0]
    rows[300:] = [[row] for row in rows[300:]]
    with pytest.raises(InvalidInputError) as caught:
        narrow.predict(rows)
    assert caught.value.code == "ragged"
    far = ROWS[:400].astype(np.float64)
    far[200:] = 1e300
    with pytest.raises(InvalidInputError, match=r"in rows? \d+") as caught:
        narrow.predict(far)
    assert caught.value.code == "overflow"
    far[350, 3] = np.nan
    with pytest.raises(InvalidInputError, match="at /inputs/350/3, got NaN"):
        narrow.predict(far)


def test_a_record_is_split_likewise() -> None:
    settings = Settings(max_elements=300, max_body_bytes=12_000)
    with calling("sync-app", settings) as client:
        names = client.card()["feature_names"]
        rows = RNG.normal(size=(40, 30))
        frame = pd.DataFrame(rows, columns=names)
        records: list[Any] = frame.to_dict("records")
        assert_bits(client.predict(records).logits, client.predict(rows).logits)
        assert_bits(client.predict(frame).logits, client.predict(rows).logits)
        records[33]["mean radius"] = None
        with pytest.raises(InvalidInputError, match="/inputs/33/mean radius, got null"):
            client.predict(records)


@pytest.mark.usefixtures("uncounted")
def test_a_million_rows(small: Path) -> None:
    """In a few requests, all of one version."""
    rows = np.tile(ROWS, (50, 1))
    with (
        serving(Settings(), [small]) as served,
        client_of("sync-tcp", str(served.client.base_url)) as client,
    ):
        answer = client.predict(rows)
        requests = served.metric("sigmoid_model_requests_total")
        assert_bits(answer.logits[-5:], client.predict(rows[-5:]).logits)
    assert answer.probabilities.shape == (1_000_000, 3)
    assert answer.labels.shape == (1_000_000,)
    assert 5 <= requests <= 40
