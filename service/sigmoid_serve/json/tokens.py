"""The tokens of JSON, as regular expressions over bytes.

No expression backtracks, as each repetition is possessive, and each reads a bounded
number of values at once.
"""

import re
from collections.abc import Callable
from typing import Final

Find = Callable[..., re.Match[bytes] | None]
"""Called with a text and the position where the token must begin."""

SPACE: Final = rb"[ \t\r\n]*+"
_NUMBER: Final = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+"
_SCALAR: Final = rb"(?:" + _NUMBER + rb"|true|false|null|NaN|-?Infinity)"
_SHORT: Final = rb'"[^"\\\x00-\x1f]{0,64}+"'
_ESCAPE: Final = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'


def _listed(item: bytes, most: int) -> bytes:
    return item + b"(?:%b,%b%b){0,%d}+" % (SPACE, SPACE, item, most - 1)


def _short_list(item: bytes, most: int) -> bytes:
    return rb"\[%b(?:%b%b)?+\]" % (SPACE, _listed(item, most), SPACE)


# What is read in one step: scalars, short strings, objects of at most one member, lists
# of these, and lists of such lists.
_PAIR: Final = _SHORT + SPACE + b":" + SPACE + b"(?:" + _SCALAR + b"|" + _SHORT + b")"
_ATOM: Final = (
    b"(?:" + _SCALAR + b"|" + _SHORT + rb"|[{]%b(?:%b%b)?+[}])" % (SPACE, _PAIR, SPACE)
)
_ITEM: Final = b"(?:" + _ATOM + b"|" + _short_list(_ATOM, 64) + b")"
_ITEMS: Final = _listed(b"(?:" + _ATOM + b"|" + _short_list(_ITEM, 16) + b")", 64)


def _compiled(pattern: bytes) -> Find:
    return re.compile(pattern).match


# Groups: 1. lists that open behind some values; 2. lists, or 3. an object, that open at
# once; 4. the ends of lists.
_OPENED: Final = rb"(\[(?:%b\[){0,4096}+)" % SPACE
_CLOSED: Final = rb"(\](?:%b\]){0,4096}+)" % SPACE
_LISTED: Final = b"%b(?:%b,%b%b)?+|%b|([{])" % (
    _ITEMS,
    SPACE,
    SPACE,
    _OPENED,
    _OPENED,
)
find_first = _compiled(b"%b(?:%b|%b)" % (SPACE, _LISTED, _CLOSED))
find_next = _compiled(b"%b(?:,%b(?:%b)|%b)" % (SPACE, SPACE, _LISTED, _CLOSED))
find_item = _compiled(rb"%b(?:%b()|(\[)|([{]))" % (SPACE, _ITEM))
find_comma = _compiled(SPACE + rb",")
find_member = _compiled(SPACE + rb'"([^"\\\x00-\x1f]{0,256}+)"' + SPACE + b":")
find_colon = _compiled(SPACE + rb":")
find_end = _compiled(SPACE + rb"\}")
find_quote = _compiled(SPACE + rb'"')
find_space = _compiled(SPACE)
find_string = _compiled(rb'(?:[^"\\\x00-\x1f]{1,64}+|' + _ESCAPE + rb"){0,4096}+")
