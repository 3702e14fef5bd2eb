"""Counts whole answers in what a server sends."""

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class Answers:
    """The answers of one connection.

    Attributes:
        count: How many have come as a whole.
        size: Bytes of all that has come.
        status: Of the first answer; 0 before it came.
    """

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
        self.status = 0
        self._head = b""
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """Take in what came."""
        self.size += len(data)
        while data or (self._head and not self._missing):
            if self._missing:
                data = self._fed(data)
                continue
            head, end, data = (self._head + data).partition(_END)
            if not end:
                self._head = head
                return
            self._head = b""
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        status = int(head[9:12]) if head[9:12].isdigit() else 0
        if status // 100 == 1:  # such as `100 Continue`; an answer follows
            return
        self.status = self.status or status
        _, _, rest = head.lower().partition(_LENGTH)
        self._missing = int(rest.split(b"\r\n")[0] or 0)
        self.count += not self._missing

    def _fed(self, data: bytes) -> bytes:
        taken = min(len(data), self._missing)
        self._missing -= taken
        self.count += not self._missing
        return data[taken:]
