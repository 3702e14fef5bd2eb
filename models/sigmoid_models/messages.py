"""Messages for people, and the error whose message is all that they need.

Nothing here takes long to import: the command line knows the error before it knows
which of the heavier modules it comes from.
"""


class UserError(Exception):
    """What the user can mend, told in one sentence; no traceback would add to it."""


def one_line(text: str) -> str:
    """Escape, as Python does, the characters that cannot be printed.

    Names of files, and what stands in them, may hold any character.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
