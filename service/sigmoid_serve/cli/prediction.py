"""The command `predict`: a table in, a label and probabilities of each row out.

The table is a stream: what is in memory at a time are a few batches of its rows.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from sigmoid_models.intake.named import Named
from sigmoid_models.messages import UsageError, UserError, one_line
from sigmoid_serve.cli.checkpoints import Activation, Checkpoint, Device
from sigmoid_serve.cli.table_options import Decimal, Header, read_options
from sigmoid_serve.cli.values import read_functions
from sigmoid_serve.configuration.settings import Settings, read_settings

if TYPE_CHECKING:
    from sigmoid_models.card import ModelCard
    from sigmoid_models.dtype import Float64Array
    from sigmoid_models.tables.reading import Batch, Table
    from sigmoid_serve.engine.engine import Engine, Prediction

# What a shell says of a command that wrote into a pipe that nobody reads any more.
_CLOSED_PIPE: Final = 141

# Answers that are held as numbers and as text at once: a wide network's rows are many.
_NUMBERS_AT_ONCE: Final = 2**21

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Rows of features: CSV or Parquet; - is CSV from standard input.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write: .csv, .jsonl, .ndjson or .parquet.",
        show_default="standard output, as CSV",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of DATA to copy in front of the answers; may be repeated.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="Threads that compute.",
        show_default="as many as there are CPUs",
    ),
]


def predict(
    checkpoint: Checkpoint,
    data: Data,
    output: Output = None,
    keep: Keep = None,
    device: Device = None,
    activation: Activation = None,
    threads: Threads = None,
    decimal: Decimal = None,
    header: Header = None,
) -> None:
    """Classify the rows of a table: a label and probabilities for each.

    Columns are found by the model's feature names, where it has them, in any order and
    among others; else all columns but those to keep are taken in order.
    """
    # What was typed is bytes, which a locale may take for something else than UTF-8.
    kept = tuple(os.fsencode(name).decode(errors="replace") for name in keep or ())
    output = None if output is not None and str(output) == "-" else output
    _check_usage(output, kept)
    from sigmoid_models.tables.reading import open_table

    settings = read_settings(device=device, threads=threads)
    _check_places(output, data, checkpoint)
    with open_table(data, read_options(decimal, header)) as table:
        named = Named(activation=read_functions(activation))
        engine, number = _engine(checkpoint, named, settings)
        features = _features(table, engine.card, kept)
        told = table.notes
        _tell(told)
        try:
            _answer(table, engine, number, output, _Columns(kept, features))
        except BrokenPipeError:
            raise typer.Exit(_CLOSED_PIPE) from None
        _tell([note for note in table.notes if note not in told])


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        print(one_line(f"note: {note}"), file=sys.stderr)


class _Columns(NamedTuple):
    """Columns of the table: those to copy, and those that the network is given."""

    kept: tuple[str, ...]
    features: tuple[str, ...]


def _check_usage(output: Path | None, kept: Sequence[str]) -> None:
    from sigmoid_models.tables.writing import OutputNameError, format_of

    try:
        format_of(output)
    except OutputNameError as error:
        raise UsageError(f"--output {error}") from None
    twice = [name for name in kept if kept.count(name) > 1]
    if twice:
        raise UsageError(one_line(f"--keep {twice[0]} is there twice"))


def _check_places(output: Path | None, *sources: Path) -> None:
    """Check that no source is to be overwritten, and that there is a folder."""
    if output is None:
        return
    for source in sources:
        if output.is_file() and source.is_file() and output.samefile(source):
            raise UserError(
                one_line(f"--output {output} is what is read; choose another file")
            )
    if not output.parent.is_dir():
        raise UserError(one_line(f"--output {output}: there is no such folder"))


def _engine(checkpoint: Path, named: Named, settings: Settings) -> tuple["Engine", int]:
    """Load a network as the server does; and say how many threads compute."""
    from sigmoid_models.checkpoint import load_checkpoint
    from sigmoid_serve.engine.cpus import available_cpus, threads_per_worker
    from sigmoid_serve.engine.device import resolve_device, use_one_thread
    from sigmoid_serve.engine.engine import Engine

    use_one_thread()
    number = threads_per_worker(settings.threads, 1, available_cpus())
    engine = Engine(
        load_checkpoint(checkpoint, named=named),
        resolve_device(settings.device),
        settings.max_batch_rows,
        threads=number,
        is_last_use=True,
    )
    fault = engine.golden_fault()
    if fault:
        raise UserError(f"{checkpoint}: {fault}")
    return engine, number


def _features(
    table: "Table", card: "ModelCard", kept: tuple[str, ...]
) -> tuple[str, ...]:
    """Find the columns that the network is given.

    Raises:
        UserError: One is not there, or there are too many or too few.
    """
    table.require((*kept, *(card.features or ())))
    taken = [name for name in kept if name in _answers(card)]
    if taken:
        raise UserError(
            one_line(
                f"--keep {taken[0]}: the answers have a column of that name; give it "
                f"another one in {table.label}"
            )
        )
    if card.features:
        return card.features
    wanted = card.architecture.features
    names = tuple(name for name in table.names if name not in kept)
    if len(names) != wanted:
        count = f"{len(names)} {'column' if len(names) == 1 else 'columns'}"
        beside = f" beside those of --keep ({', '.join(kept)})" if kept else ""
        raise UserError(
            one_line(
                f"{table.label}: the model takes {wanted} features, the header has "
                f"{count}{beside}; as the model does not name its features, "
                f"{_what_would_fit(names, wanted)}"
            )
        )
    return names


def _what_would_fit(names: Sequence[str], wanted: int) -> str:
    more = len(names) - wanted
    if more < 0:
        return f"all {wanted} must be there, in the order of training"
    each = "the one that is" if more == 1 else f"the {more} that are"
    return (
        f"every column counts as one: take out {each} no feature, with --keep COLUMN, "
        f"of {', '.join(names[:6])}{', …' if len(names) > 6 else ''}"
    )


def _answers(card: "ModelCard") -> list[str]:
    """Name the columns of the answers."""
    outputs = card.architecture.outputs
    # One output is the probability of the second of two classes.
    classes = card.classes or tuple(map(str, range(max(2, outputs))))
    shown = classes[-outputs:]
    many = card.task == "multilabel"
    heads = [f"label_{name}" for name in shown] if many else ["label"]
    return [*heads, *(f"probability_{name}" for name in shown)]


def _answer(
    table: "Table", engine: "Engine", threads: int, output: Path | None, to: _Columns
) -> None:
    """Write the answers to all rows, as they come."""
    from sigmoid_models.tables.writing import open_output
    from sigmoid_serve.cli.terminal import rows_progress
    from sigmoid_serve.engine.streaming import computing, in_order

    done = 0
    names = [*to.kept, *_answers(engine.card)]
    bar = rows_progress(lambda: table.read_fraction, is_beside_rows=output is None)
    with bar as show, open_output(output, names) as writer:
        answers = _Answers(table, to, engine, computing(engine), writer.encode)
        for rows, pieces in in_order(answers.of, table.batches(), threads):
            for piece in pieces:
                writer.write(piece)
            done += rows
            show(done)
        if not done:
            raise UserError(f"{table.label}: there is no row")


class _Answers(NamedTuple):
    """What makes of a batch of rows what is written of it.

    Attributes:
        table: That the batch is of.
        columns: What is taken of it.
        engine: The network.
        compute: Of rows, what it says of them.
        encode: Columns to the form of the output.
    """

    table: "Table"
    columns: _Columns
    engine: "Engine"
    compute: Callable[["Float64Array"], "Prediction"]
    encode: Callable[[Sequence[Any]], Any]

    def of(self, batch: "Batch") -> tuple[int, list[Any]]:
        """Compute the answers to a batch; its rows, and the pieces to write.

        Raises:
            UserError: The network has no answer to a row.
        """
        rows = batch.numbers(self.columns.features)
        copied = [batch.arrow(name) for name in self.columns.kept]
        step = max(1, _NUMBERS_AT_ONCE // self.engine.outputs)
        pieces = []
        for start in range(0, len(rows), step):
            prediction = self._prediction(rows[start : start + step], start, batch)
            kept = (column.slice(start, step) for column in copied)
            pieces.append(self.encode([*kept, *_arrays(prediction)]))
        return len(rows), pieces

    def _prediction(
        self, rows: "Float64Array", start: int, batch: "Batch"
    ) -> "Prediction":
        from sigmoid_serve.engine.engine import RowError

        try:
            return self.compute(rows)
        except RowError as error:
            row, *feature = error.index
            names = (f", column {self.columns.features[at]!r}" for at in feature)
            place = f"{batch.place(start + row)}{''.join(names)}"
            raise UserError(one_line(f"{self.table.label}: {place}: {error}")) from None


def _arrays(prediction: "Prediction") -> Iterator[Any]:
    """Yield the columns of the answers: labels, then probabilities."""
    import numpy as np
    import pyarrow as pa

    _, likely, labels = prediction
    if labels.ndim == 1:
        yield pa.array(labels)
    else:
        yield from (pa.array(column) for column in np.ascontiguousarray(labels.T))
    yield from (pa.array(column) for column in np.ascontiguousarray(likely.T))
