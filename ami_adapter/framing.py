"""Bytes of an AMI connection → whole messages, however the network cut them. No socket, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ami_adapter.errors import AmiMessageTooLong

END_OF_LINE = b"\r\n"
END_OF_MESSAGE = b"\r\n\r\n"
GREETING = b"Asterisk Call Manager/"
EVENT = b"Event: "


class AmiMessage(Mapping[str, str]):
    """One AMI message: a frozen mapping of header to value, decoded only when somebody looks inside.

    Where a header is repeated the first one wins; `repeated` counts the others. Bytes that are not UTF-8 become
    U+FFFD. `event` is the event's name as bytes, read without decoding, b"" for a response.
    """

    __slots__ = ("_headers", "_repeated", "event", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.event = event_name(raw)
        self._headers: dict[str, str] | None = None
        self._repeated = 0

    @property
    def headers(self) -> dict[str, str]:
        """The decoded headers; a shared dict, not to be changed."""
        if self._headers is None:
            self._headers, self._repeated = parse_headers(self.raw.decode("utf-8", "replace"))
        return self._headers

    @property
    def repeated(self) -> int:
        """How many headers repeated an earlier one and were dropped."""
        return self._repeated if self.headers else 0

    def __getitem__(self, name: str) -> str:
        return self.headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.headers)

    def __len__(self) -> int:
        return len(self.headers)

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, AmiMessage) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"AmiMessage({self.headers!r})"


def event_name(raw: bytes) -> bytes:
    """The value of the Event header, b"" when the message has none."""
    if raw.startswith(EVENT):
        return raw[len(EVENT) : _line_end(raw, len(EVENT))]
    start = raw.find(END_OF_LINE + EVENT)
    if start < 0:
        return b""
    start += len(END_OF_LINE) + len(EVENT)
    return raw[start : _line_end(raw, start)]


def _line_end(raw: bytes, start: int) -> int:
    end = raw.find(END_OF_LINE, start)
    return len(raw) if end < 0 else end


def parse_headers(text: str) -> tuple[dict[str, str], int]:
    """Headers of one message and the number of repeats; a line without a colon is no header.

    Only the first ": " separates: values hold quotes, colons, whole dial strings. An empty value comes as "Name: "
    or, from some modules, as "Name:".
    """
    headers: dict[str, str] = {}
    repeated = 0
    for line in text.split("\r\n"):
        name, separator, value = line.partition(":")
        if not separator:
            continue
        if name in headers:
            repeated += 1
        else:
            headers[name] = value[1:] if value.startswith(" ") else value
    return headers, repeated


class AmiFrames:
    """Cuts an AMI byte stream into messages, wherever the network split it. One per connection."""

    def __init__(self, *, max_bytes: int = 65_536) -> None:
        self._pending = b""
        self._max_bytes = max_bytes
        self.banner: str | None = None  # "Asterisk Call Manager/11.0.0", once it came

    def feed(self, data: bytes) -> list[AmiMessage]:
        """The messages completed by these bytes.

        Raises:
            AmiMessageTooLong: a message is longer than max_bytes; nothing of this connection can be trusted now.
        """
        buffer = self._without_banner(self._pending + data) if self.banner is None else self._pending + data
        *complete, self._pending = buffer.split(END_OF_MESSAGE)
        if len(self._pending) > self._max_bytes:
            raise AmiMessageTooLong(len(self._pending), self._max_bytes)
        return [AmiMessage(block) for block in map(self._checked, complete) if block]

    def _checked(self, block: bytes) -> bytes:
        if len(block) > self._max_bytes:
            raise AmiMessageTooLong(len(block), self._max_bytes)
        # Some builds send one empty line too many between messages.
        return block.strip(END_OF_LINE) if block[:1] in b"\r\n" else block

    def _without_banner(self, buffer: bytes) -> bytes:
        """The banner is the only line that no empty line follows."""
        if not buffer.startswith(GREETING):
            is_partial = GREETING.startswith(buffer)
            if not is_partial:
                self.banner = ""  # a recording that starts later: nothing to cut off
            return buffer
        line, separator, rest = buffer.partition(END_OF_LINE)
        if not separator:
            return buffer
        self.banner = line.decode("utf-8", "replace")
        return rest
