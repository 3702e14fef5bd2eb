"""Tensors and records as `/openapi.json` shows them, in types that clients can have.

A schema that refers to itself would say all of a tensor in a line, but generators of
clients drop it, or make of it what nobody can use. So each rank up to 3 is spelled out,
which is what is sent mostly; from rank 4 on, only the lists outside are. Validators in
`sigmoid_serve.payload` know the rest.

Generators take a field that has a default for one that is always there, so no field
that may be absent shows one.
"""

from typing import Any

from typing_extensions import TypeAliasType

from sigmoid_models.dtype import DtypeName

Rows = (
    list[float]
    | list[list[float]]
    | list[list[list[float]]]
    | list[list[list[list[Any]]]]
)
"""Nested lists of numbers, of any rank from 1 to 32."""

Numbers = float | Rows
"""The same, or a bare number."""

FeatureRecord = TypeAliasType("FeatureRecord", dict[str, float])
"""A row of features by their names."""

# One list for rows and for records: clients tell two kinds of lists apart by the first
# alone, and then write no records.
RowsOrRecords = (
    FeatureRecord
    | list[
        float | list[float] | list[list[float]] | list[list[list[Any]]] | FeatureRecord
    ]
)
"""Nested lists of numbers, a record, or a list of records."""

Dtype = TypeAliasType("Dtype", DtypeName)
"""A dtype; a type with a name, which clients then have once."""

_Label = str | int | bool

Labels = (
    _Label
    | list[_Label]
    | list[list[_Label]]
    | list[list[list[_Label]]]
    | list[list[list[list[Any]]]]
)
"""Class names, integers or booleans, in lists of any rank."""


def without_default(schema: dict[str, Any]) -> None:
    """Change the schema of a field of a request that may be absent."""
    schema.pop("default", None)


def or_null(schema: dict[str, Any]) -> None:
    """Change the schema of such a field of a named type; null is absence, too."""
    without_default(schema)
    schema["anyOf"] = [{"$ref": schema.pop("$ref")}, {"type": "null"}]


def left_out(schema: dict[str, Any]) -> None:
    """Change the schema of a field of a response that may be absent, but not null."""
    schema.pop("default", None)
    kinds = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    if len(kinds) == 1:
        schema.update(kinds[0])
