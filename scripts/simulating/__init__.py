"""Behind `scripts/sizing`: measures a server, and simulates many of its kind."""


class SizingError(Exception):
    """Something that the figures need is not there, or has failed."""
