"""What a file is, by its first bytes: weights of one of two formats, or something else.

How its name ends says nothing: people rename files, and downloads bring other ones.
"""

import re
from typing import Final, Literal

from sigmoid_models.files.pickle_values import Instance, Opaque, Pairs, brief
from sigmoid_models.files.pickles import Pickles
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.saved_file import is_archive
from sigmoid_models.files.stored import FormatError

Kind = Literal["safetensors", "torch"]

_SAVE: Final = 'save the weights with torch.save(model.state_dict(), "model.pt")'
_UNPACK: Final = "unpack it, and serve the file of weights in it"
_AGAIN: Final = "get the file again"

_HEAD_BYTES: Final = 1024

# The first pickle of what PyTorch wrote before 1.6, of any protocol.
_ROW: Final = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05][\x95}\](c\x8c\x8a\x8f)KMJGXC]")
_NOTHING: Final = "it is no checkpoint: neither safetensors nor a file of torch.save"

# Offset, bytes, name, remedy.
_SIGNATURES: Final = (
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (0, b"(\xb5/\xfd", "a zstd archive", _UNPACK),
    (0, b"7z\xbc\xaf'\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a", "a RAR archive", _UNPACK),
    (0, b"x\x01", "zlib data, as joblib may write", _SAVE),
    (0, b"x\x9c", "zlib data, as joblib may write", _SAVE),
    (0, b"x\xda", "zlib data, as joblib may write", _SAVE),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"PK\5\6", "an empty zip archive", _SAVE),
    (0, b"PK\7\x08", "a part of a split zip archive", "put its parts together"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _SAVE),
    (0, b"\x93NUMPY", "an array of NumPy's (.npy)", _SAVE),
    (4, b"TFL3", "a TensorFlow Lite model", _SAVE),
    (4, b"ET12", "an ExecuTorch program", _SAVE),
    (0, b"GGUF", "a GGUF file", _SAVE),
    (0, b"%PDF-", "a PDF document, no checkpoint", _AGAIN),
    (0, b"\x89PNG\r\n", "a PNG image, no checkpoint", _AGAIN),
    (0, b"\xff\xd8\xff", "a JPEG image, no checkpoint", _AGAIN),
    (0, b"GIF8", "a GIF image, no checkpoint", _AGAIN),
    (0, b"\x7fELF", "a program (ELF), no checkpoint", _AGAIN),
    (0, b"SQLite format 3\0", "an SQLite database, no checkpoint", _AGAIN),
    (0, b"PAR1", "a Parquet table, no checkpoint", _AGAIN),
)

# Of bytes without a signature: their beginning, finding, remedy.
_PATTERNS: Final = (
    (
        re.compile(rb"\([dl]p\d+\n|c[\w.]+\n\w+\n"),
        "it is a pickle that torch.save did not write",
        _SAVE,
    ),
    (re.compile(rb"\x08[\x01-\x20][\x12\x3a\x42]."), "it is an ONNX model", _SAVE),
    (re.compile(rb"\0+(?:\Z|\0{1000})"), "it begins with nothing but zeros", _AGAIN),
)

# Of text: its beginning without white space, finding, remedy.
_TEXTS: Final = (
    (
        re.compile(r"version https?://(?:git-lfs\.|hawser\.|git-media)[\w.]*/"),
        "it is a Git LFS pointer, not the file that it stands for",
        "get that file: git lfs pull",
    ),
    (
        re.compile(r"[^\n]*/annex/objects/"),
        "it is a git-annex pointer, not the file that it stands for",
        "get that file: git annex get",
    ),
    (
        re.compile(
            r"<(?:.{,800}<)?(?:!doctype\s+html|html|head|body|script|title)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        "it is a web page (HTML), which was downloaded instead of the file",
        "download the file itself",
    ),
    (re.compile("<"), "it is an XML document, no checkpoint", _AGAIN),
    (
        re.compile(r"""[{\[]\s*(?:["{}\[\]]|-?\d|true|false|null|$)"""),
        "it is JSON text, no checkpoint",
        _AGAIN,
    ),
)


class NotWeightsError(Exception):
    """A file is no file of weights.

    Attributes:
        finding: What it is, in one line.
        remedy: What to do about it, in one line.
    """

    def __init__(self, finding: str, remedy: str) -> None:
        super().__init__(f"{finding}; {remedy}")
        self.finding = finding
        self.remedy = remedy


def recognise(content: FileBytes) -> Kind:
    """Tell which format of weights a file has.

    Zip archives that `torch.save` did not write are told from each other later, in
    `sigmoid_models.files.archives`.

    Raises:
        NotWeightsError: It has none of both; the error says what it is.
    """
    if is_archive(content) or _ROW.match(content):
        return "torch"
    if _is_safetensors(content):
        return "safetensors"
    raise _named(content)


def _is_safetensors(content: FileBytes) -> bool:
    """Look for the length of a header, which is no text, and the header's beginning."""
    return content[8:9] == b"{" and _text(content[:8]) is None


def _named(content: FileBytes) -> NotWeightsError:
    if not content:
        return NotWeightsError("the file is empty", "save the checkpoint again")
    for offset, signature, name, remedy in _SIGNATURES:
        if content[offset : offset + len(signature)] == signature:
            return NotWeightsError(f"it is {name}", remedy)
    if _PICKLE.match(content):
        return _named_pickle(content)
    text = _text(content[:_HEAD_BYTES])
    for pattern, finding, remedy in _PATTERNS:
        if pattern.match(content):
            return NotWeightsError(finding, remedy)
    return _named_text(text) if text else NotWeightsError(_NOTHING, _SAVE)


def _named_pickle(content: FileBytes) -> NotWeightsError:
    """Say what is in a pickle, without doing what it says."""
    try:
        held = Pickles(content, 0, len(content), is_tolerant=True).read()
    except FormatError:
        held = None
    match held:
        case Instance(name=name) | Opaque(kind=name):
            of = f" of the class {brief(name, 100)}"
        case Pairs():
            of = " of a dictionary"
        case None:
            of = ""
        case _:
            of = f" of a {type(held).__name__}"
    return NotWeightsError(f"it is a pickle{of} that torch.save did not write", _SAVE)


def _named_text(text: str) -> NotWeightsError:
    start = text.lstrip()
    for pattern, finding, remedy in _TEXTS:
        if pattern.match(start):
            return NotWeightsError(finding, remedy)
    lines = start.splitlines()[:2]
    for mark in ",;\t":
        counts = {line.count(mark) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            return NotWeightsError("it is a table of text (CSV), no checkpoint", _AGAIN)
    shown = brief("".join(lines[:1]).strip())
    return NotWeightsError(f"it is text, which begins with “{shown}”", _AGAIN)


def _text(head: bytes) -> str | None:
    """Decode the beginning of a text; None if it is none."""
    is_wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = head.decode("utf-16" if is_wide else "utf-8-sig", "replace")
    odd = sum(not (c.isprintable() or c.isspace()) or c == "\ufffd" for c in text)
    # Text of another encoding has some letters that are none in this one.
    return text if text and odd * 4 <= len(text) else None
