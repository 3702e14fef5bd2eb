"""Messages about files, whose names and contents may hold any character."""


def one_line(text: str) -> str:
    """Escape, as Python does, the characters that cannot be printed."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
