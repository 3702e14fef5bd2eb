"""Open a table, whatever of CSV or Parquet it is; needs pyarrow."""

from pathlib import Path
from typing import Final

from sigmoid_models.messages import UserError
from sigmoid_models.tables.table import (
    Batch,
    Decimal,
    Numbers,
    ReadOptions,
    Table,
    TableError,
)

__all__ = [
    "Batch",
    "Decimal",
    "Numbers",
    "ReadOptions",
    "Table",
    "TableError",
    "open_table",
]

_FOUND_OUT: Final = ReadOptions()


def open_table(source: Path, options: ReadOptions = _FOUND_OUT) -> Table:
    """Open a table and read its header.

    Args:
        source: A file, or `-` for standard input. Its first bytes decide what it is,
            never its suffix: CSV, also compressed by gzip, bzip2, xz or zstd, or
            Parquet.
        options: What the user says of it.

    Raises:
        TableError: It is no table, or leaves a doubt that the options can settle.
        UserError: pyarrow is not installed.
    """
    try:
        from sigmoid_models.tables.csv_table import CsvTable
        from sigmoid_models.tables.parquet_table import ParquetTable
        from sigmoid_models.tables.source import Source
    except ModuleNotFoundError as error:
        missing = (error.name or "pyarrow").partition(".")[0]
        raise UserError(
            f"reading tables needs {missing}: pip install 'sigmoid-serve[tables]'"
        ) from None
    opened = Source(source)
    try:
        if not opened.is_parquet:
            return CsvTable(opened, options)
    except BaseException:
        opened.close()
        raise
    opened.close()
    return ParquetTable(source, options)
