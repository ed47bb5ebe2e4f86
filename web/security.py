"""Headers that every answer carries, and the refusal of requests that another site made in our user's name."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from web.keys import SERVICES

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Set what is missing: a handler that needs another policy (a mail body) has set its own before."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if response.content_type in {"text/html", "application/json", "application/problem+json"}:
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if response.content_type == "text/html":
        response.headers.setdefault(hdrs.VARY, "HX-Request, HX-Request-Type")


def is_own_origin(request: web.Request, origin: str) -> bool:
    """Whether a page at `origin` is ours: the host the request was sent to, or one named in the settings."""
    if origin in request.app[SERVICES].public_origins:
        return True
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == request.host.lower()


def may_be_forged(request: web.Request, *, has_session: bool) -> bool:
    """Whether an unsafe request could have been sent by another site's page (threat T14).

    Browsers send Sec-Fetch-Site over HTTPS and to localhost; in a LAN without TLS only Origin. With a session cookie
    and neither header the request is refused: no browser of today sends that.
    """
    if request.method in _SAFE_METHODS:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None:
        return not is_own_origin(request, origin)
    return has_session
