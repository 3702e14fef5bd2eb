"""The shape of a JSON array of numbers, proven on what its text has beside them.

The skeleton of a text is the text without its numbers and white space. `[[1,2],[3,4]]`
has the skeleton `[[,],[,]]`; its first `]` and its first `]]` end the first row and the
whole, which gives the only shape that it can have, (2, 2). The skeleton must then be,
byte for byte, the one of that shape.

Its cost is that of the text, however many lists there are.
"""

from typing import Final

from service.array_shape import MAX_RANK, Unproven

STRUCK: Final = b"0123456789+-.eE \t\r\n"


def skeleton(text: bytes) -> bytes:
    """Strike out the numbers and the white space."""
    return text.translate(None, STRUCK)


def skeleton_shape(whole: bytes) -> tuple[int, ...]:
    """Read the one shape that the skeleton of an array can have, and hold it to that.

    That there is a number at each place, and that the text is valid, is left to prove.

    Raises:
        Unproven: It is not the skeleton of a dense array.
    """
    stop = whole.find(b"]")
    rank = stop - whole.count(b",", 0, stop)
    if not 1 <= rank <= MAX_RANK:
        raise Unproven
    shape: list[int] = []
    length = 0  # of the skeleton of one element of the level at hand
    for level in range(1, rank + 1):
        stop = whole.find(b"]" * level) + level
        count, rest = divmod(stop - (rank - level) - 1, length + 1)
        if rest or count < 1:
            raise Unproven
        shape.insert(0, count)
        length = count * (length + 1) + 1
    if length != len(whole):
        raise Unproven
    expected = b""
    for count in reversed(shape):
        expected = b"[" + (expected + b",") * (count - 1) + expected + b"]"
    if whole != expected:
        raise Unproven
    return tuple(shape)
