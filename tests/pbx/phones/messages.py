"""SIP as text: messages, addresses, digest answers (RFC 3261, RFC 2617). Enough for loopback, where nothing is lost."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    302: "Moved Temporarily",
    404: "Not Found",
    480: "Temporarily Unavailable",
    481: "No Such Call",
    486: "Busy Here",
    487: "Request Terminated",
    503: "Service Unavailable",
    603: "Decline",
}
AUTHORISATION = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


class NotAnswered(Exception):
    """The PBX did not answer a SIP request in time."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request (`INVITE sip:… SIP/2.0`) or a response (`SIP/2.0 200 OK`)."""

    start: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    source: tuple[str, int] = field(default=("", 0), compare=False)

    @classmethod
    def read(cls, data: bytes, source: tuple[str, int]) -> Message:
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        start, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = tuple((name.strip(), text.strip()) for name, _, text in pairs)
        return cls(start=start, headers=headers, body=body, source=source)

    def encode(self) -> bytes:
        body = self.body.encode()
        lines = [
            self.start,
            *(f"{name}: {text}" for name, text in self.headers),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def get(self, name: str) -> str:
        """The first header of this name, "" if there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        return [text for key, text in self.headers if key.lower() == name.lower()]

    @property
    def code(self) -> int:
        """Of a response; 0 of a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """What is asked, or what is answered to."""
        return self.get("CSeq").split(" ")[-1]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def branch(self) -> str:
        found = re.search(r"branch=([^;,\s]+)", self.get("Via"))
        return found[1] if found else ""


def uri_in(header: str) -> str:
    found = re.search(r"<([^>]+)>", header)
    return found[1] if found else header.partition(";")[0].strip()


def user_in(header: str) -> str:
    found = re.match(r"sip:([^@;]+)@", uri_in(header))
    return found[1] if found else ""


def tag_in(header: str) -> str:
    found = re.search(r";\s*tag=([^;>\s]+)", header.rpartition(">")[2])
    return found[1] if found else ""


def without_tag(header: str) -> str:
    return re.sub(r";\s*tag=[^;>\s]+", "", header)


def unique() -> str:
    return secrets.token_hex(6)


def digest(challenge: str, user: str, password: str, method: str, uri: str) -> str:
    """The Authorization header that answers this challenge."""
    asked = {
        name.lower(): quoted or bare
        for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', challenge)
    }
    who, what = _md5(f"{user}:{asked['realm']}:{password}"), _md5(f"{method}:{uri}")
    nonce, ours = asked["nonce"], unique()
    proof = _md5(f"{who}:{nonce}:00000001:{ours}:auth:{what}" if "qop" in asked else f"{who}:{nonce}:{what}")
    parts = {"username": user, "realm": asked["realm"], "nonce": nonce, "uri": uri, "response": proof}
    if "opaque" in asked:
        parts["opaque"] = asked["opaque"]
    quoted = ", ".join(f'{name}="{text}"' for name, text in parts.items())
    return f"Digest {quoted}, algorithm=MD5" + (
        f', qop=auth, nc=00000001, cnonce="{ours}"' if "qop" in asked else ""
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
