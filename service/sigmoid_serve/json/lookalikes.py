"""Formats that clients send by mistake, and what to do about each.

They are recognised by the first bytes of a body or by the names of its fields. That
never changes whether a body is accepted; it only makes the error more helpful.
"""

from collections.abc import Collection, Mapping
from typing import Final

# First bytes, and what follows `the body ` in a sentence; the first that fits counts.
_STARTS: Final[tuple[tuple[bytes, str], ...]] = (
    (
        b"\xef\xbb\xbf",
        "begins with a byte order mark (BOM); write it in UTF-8 without one, which "
        "Python calls utf-8 and not utf-8-sig",
    ),
    (b"\xff\xfe", "is text in UTF-16 or UTF-32; write it in UTF-8"),
    (b"\xfe\xff", "is text in UTF-16; write it in UTF-8"),
    (b"{\0", "is text in UTF-16 or UTF-32; write it in UTF-8"),
    (b"\0", "is text in UTF-16 or UTF-32, or binary; write it in UTF-8"),
    (
        b"\x1f\x8b",
        "is compressed by gzip; say so with the header Content-Encoding: gzip",
    ),
    (b"x\x01", "is compressed; say so with the header Content-Encoding: deflate"),
    (b"x\x9c", "is compressed; say so with the header Content-Encoding: deflate"),
    (b"x\xda", "is compressed; say so with the header Content-Encoding: deflate"),
    (
        b"\x28\xb5\x2f\xfd",
        "is compressed by zstd, which is not read; compress it by gzip, and say so "
        "with the header Content-Encoding: gzip",
    ),
    (
        b"\x93NUMPY",
        "is an .npy file; say so with the header Content-Type: application/x-npy",
    ),
    (
        b"PK\x03\x04",
        "is a zip archive, such as an .npz file or what torch.save writes; send one "
        "array as JSON or, with numpy.save, as .npy",
    ),
    (
        b"\x80",
        "looks like a pickle, which is never read; send the numbers as JSON or .npy",
    ),
    (b"\x89HDF", "is an HDF5 file; send one array as JSON or .npy"),
    (b"PAR1", "is a Parquet file; send its rows as JSON or .npy"),
    (b"ARROW1", "is an Arrow file; send its rows as JSON or .npy"),
    (b"\x89PNG", "is an image; send its pixels, as the model was trained on them"),
    (b"\xff\xd8\xff", "is an image; send its pixels, as the model was trained on them"),
    (b"<", "is XML or HTML; send JSON"),
    (b"--", "is a multipart form; send JSON, without a form around it"),
)


def recognise(body: bytes) -> str | None:
    """Return what a body is, and what to do, to follow the words `the body`.

    Returns:
        A clause; None if the format is not known.
    """
    return next((told for start, told in _STARTS if body.startswith(start)), None)


def recognise_for_npy(body: bytes) -> str | None:
    """Return the same for a body that should be an `.npy` file."""
    if body.lstrip()[:1] in (b"{", b"["):
        return "is JSON; say so with the header Content-Type: application/json"
    return None if body.startswith(b"\x93NUMPY") else recognise(body)


_ROWS_AS_INPUTS: Final = "send its rows as inputs"

PROTOCOL: Final = (
    "the Open Inference Protocol of Triton and KServe, which is spoken at "
    "/v2/models/NAME/infer; send the body there"
)
"""What such a body is, and where it belongs."""

# Fields of other servers, and of the examples that people begin with.
_FIELDS: Final[Mapping[str, str]] = {
    "instances": f"of TensorFlow Serving and KServe V1; {_ROWS_AS_INPUTS}",
    "signature_name": "of TensorFlow Serving; leave it out",
    "dataframe_split": "of MLflow; send its data as inputs",
    "dataframe_records": "of MLflow; send its records as inputs",
    "data": f"of other servers; {_ROWS_AS_INPUTS}",
    "input_data": f"of Azure and MLflow; {_ROWS_AS_INPUTS}",
    "Inputs": f"of Azure; {_ROWS_AS_INPUTS}",
    "ndarray": f"of Seldon; {_ROWS_AS_INPUTS}",
    "tensor": f"of Seldon; {_ROWS_AS_INPUTS}",
    "columns": "of pandas; send rows, or records by feature name, as inputs",
    "index": "of pandas; send rows, or records by feature name, as inputs",
    **dict.fromkeys(
        ("id", "outputs", "parameters", "datatype", "model_name", "model_version"),
        f"of {PROTOCOL}",
    ),
    **dict.fromkeys(
        ("input", "x", "X", "features", "rows", "values", "samples", "vector", "array"),
        "which is called inputs here",
    ),
}


def explain_field(name: str) -> str:
    """Return whose field it is, after a space; empty if that is not known."""
    told = _FIELDS.get(name)
    return f" ({told})" if told else ""


def is_protocol_tensor(names: Collection[str]) -> bool:
    """Tell by its members whether an object is a tensor of that protocol."""
    return "data" in names and ("datatype" in names or "shape" in names)
