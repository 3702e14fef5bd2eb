"""Why a file's weights are not served, as intake finds it; it knows no path."""


class RefusedError(Exception):
    """A network that cannot be served, or weights in which none was found.

    Attributes:
        finding: What was found.
        remedy: What to do about it.
    """

    def __init__(self, finding: str, remedy: str) -> None:
        super().__init__(f"{finding}; {remedy}")
        self.finding = finding
        self.remedy = remedy


def listed(names: list[str], most: int = 6) -> str:
    """Write the first names, each shortened, and how many more there are."""
    shown = ", ".join(name[:64] for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
