"""Bytes of an AMI connection → whole messages, however the network cut them. No socket, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ami_adapter.errors import AmiMessageTooLong

END_OF_LINE = b"\r\n"
END_OF_MESSAGE = b"\r\n\r\n"
GREETING = b"Asterisk Call Manager/"
EVENT = b"Event: "
AFTER_EVENT = len(EVENT)
STRAY = b"\r\n"
MAX_VALUE = 1000  # characters kept of a value: names and numbers of callers are anybody's to choose


class AmiMessage(Mapping[str, str]):
    """One AMI message: a frozen mapping of header to value, decoded only when somebody looks inside.

    Where a header is repeated the first one wins; `repeated` counts the others. Bytes that are not UTF-8 become
    U+FFFD, and so does NUL, which no database stores; of a value 1,000 characters are kept. `event` is the event's
    name as bytes, read without decoding, b"" for a response.
    """

    __slots__ = ("_headers", "_repeated", "event", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._headers: dict[str, str] | None = None
        self._repeated = 0
        if raw.startswith(EVENT):  # nearly every message: the shortest way to the name
            end = raw.find(END_OF_LINE, AFTER_EVENT)
            self.event = raw[AFTER_EVENT:] if end < 0 else raw[AFTER_EVENT:end]
        else:
            self.event = later_event_name(raw)

    @property
    def headers(self) -> dict[str, str]:
        """The decoded headers; a shared dict, not to be changed."""
        if self._headers is None:
            text = self.raw.decode("utf-8", "replace")
            if "\0" in text:
                text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
            self._headers, self._repeated = parse_headers(text)
            if len(self.raw) > MAX_VALUE:
                self._headers = {name: value[:MAX_VALUE] for name, value in self._headers.items()}
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


def later_event_name(raw: bytes) -> bytes:
    """The value of an Event header that is not the first one, b"" when the message has none."""
    start = raw.find(END_OF_LINE + EVENT)
    return raw[start + 2 + AFTER_EVENT :].partition(END_OF_LINE)[0] if start >= 0 else b""


def parse_headers(text: str) -> tuple[dict[str, str], int]:
    """Headers of one message and the number of repeats; a line without a colon is no header.

    Only the first ": " separates: values hold quotes, colons, whole dial strings. An empty value comes as "Name: "
    or, from some modules, as "Name:".
    """
    lines = text.split("\r\n")
    plain: dict[str, str] = {}
    for line in lines:
        name, separator, plain[name] = line.partition(": ")
        if not separator:
            return parse_odd_headers(lines)
    return (plain, 0) if len(plain) == len(lines) else parse_odd_headers(lines)


def parse_odd_headers(lines: list[str]) -> tuple[dict[str, str], int]:
    """The slow way, for messages with repeats, empty values without a blank, or lines that are no headers."""
    headers: dict[str, str] = {}
    repeated = 0
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            continue
        if name in headers:
            repeated += 1
        else:
            headers[name] = value[1:] if value.startswith(" ") else value
    return headers, repeated


class AmiFrames:
    """Cuts an AMI byte stream into messages, wherever the network split it. One per connection.

    Args:
        is_noise: says of a whole message's bytes that nobody wants it; it is then not even made a message.
    """

    def __init__(self, *, max_bytes: int = 65_536, is_noise: Callable[[bytes], bool] | None = None) -> None:
        self._pending = b""
        self._is_noise = is_noise
        self._max_bytes = max_bytes
        self.banner: str | None = None  # "Asterisk Call Manager/11.0.0", once it came

    def feed(self, data: bytes) -> list[AmiMessage]:
        """The messages completed by these bytes.

        Raises:
            AmiMessageTooLong: a message is longer than max_bytes; nothing of this connection can be trusted now.
        """
        buffer = self._pending + data
        if self.banner is None:
            buffer = self._without_banner(buffer)
        blocks = buffer.split(END_OF_MESSAGE)
        self._pending = blocks.pop()
        if len(buffer) > self._max_bytes:
            self._check_lengths(blocks)
        is_noise = self._is_noise
        if is_noise is not None:
            blocks = [block for block in blocks if not is_noise(block)]
        messages = []
        for block in blocks:
            if block[:1] in STRAY:  # some builds send one empty line too many between messages
                messages += self._without_stray_lines(block)
            else:
                messages.append(AmiMessage(block))
        return messages

    def _check_lengths(self, blocks: list[bytes]) -> None:
        longest = max(map(len, [*blocks, self._pending]))
        if longest > self._max_bytes:
            raise AmiMessageTooLong(longest, self._max_bytes)

    def _without_stray_lines(self, block: bytes) -> list[AmiMessage]:
        message = block.strip(END_OF_LINE)
        is_wanted = message and not (self._is_noise is not None and self._is_noise(message))
        return [AmiMessage(message)] if is_wanted else []

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
