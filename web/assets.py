"""Static files: read once at the start, served from memory under a name that changes with their content.

`/s/<build hash>/app.css` may be kept for ever. Modules import one another by relative path and inherit the prefix.
Compressed in memory too: no `.gz` neighbour lies about in the work tree to be served stale.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from web.keys import ASSETS
from web.routes import OPEN, RouteKind, Routes

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".png": "image/png",
}
_COMPRESSED_TYPES: Final = frozenset({".css", ".js", ".json", ".svg"})
STYLE_SHEET: Final = (
    "css/ringcard.css"  # made of these, in this order: one request, and a third less to carry
)
_STYLES: Final = (
    *("tokens", "frame", "parts", "lists", "calls", "windows", "pages", "administration"),
    *("leads", "merging", "tasks", "telephone"),
)
_FOR_EVER: Final = "public, max-age=31536000, immutable"

routes = Routes(kind=RouteKind.ASSET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    content_type: str
    body: bytes
    gzipped: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """All static files by their path below `static/`, and the hash over all of them."""

    build: str
    files: Mapping[str, Asset]

    def url(self, path: str) -> str:
        """The address of a file.

        Raises:
            LookupError: there is no such file; better at the first test than as a broken page.
        """
        if path not in self.files:
            raise LookupError(f"There is no static file {path!r} in {FOLDER}.")
        return f"/s/{self.build}/{path}"


def read_assets(made: Mapping[str, str], folder: Path = FOLDER) -> Assets:
    """Read the folder. `made`: files that are made at the start (message tables), path → text."""
    files = {
        path.relative_to(folder).as_posix(): _asset(path.suffix, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    files |= {path: _asset(Path(path).suffix, text.encode()) for path, text in sorted(made.items())}
    digest = hashlib.sha256()
    for path, asset in sorted(files.items()):
        digest.update(path.encode() + b"\0" + asset.body)
    return Assets(build=digest.hexdigest()[:12], files=files)


def style_sheet(folder: Path = FOLDER) -> str:
    """All our styles as one."""
    return "\n".join((folder / "css" / f"{name}.css").read_text("utf-8") for name in _STYLES)


def _asset(suffix: str, body: bytes) -> Asset:
    is_compressed = suffix in _COMPRESSED_TYPES and len(body) > 512
    gzipped = gzip.compress(body, 9, mtime=0) if is_compressed else None
    return Asset(content_type=_TYPES[suffix], body=body, gzipped=gzipped)


@routes.get("/favicon.ico", right=OPEN)
async def show_icon(request: web.Request) -> web.Response:
    """Browsers ask for it where no page names one: a fragment or an answer of the API opened by itself."""
    raise web.HTTPFound(request.app[ASSETS].url("favicon.svg"))


@routes.get(r"/s/{build:[0-9a-f]{12}}/{path:.+}", right=OPEN)
async def show_asset(request: web.Request) -> web.Response:
    """A file of the present build, or what stands at that path now when a page of an older build asks."""
    assets = request.app[ASSETS]
    asset = assets.files.get(request.match_info["path"])
    if asset is None:
        raise web.HTTPNotFound
    is_present = request.match_info["build"] == assets.build
    headers = {
        hdrs.CONTENT_TYPE: asset.content_type,
        hdrs.CACHE_CONTROL: _FOR_EVER if is_present else "no-cache",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    body = asset.body
    if asset.gzipped is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body, headers[hdrs.CONTENT_ENCODING] = asset.gzipped, "gzip"
    return web.Response(body=body, headers=headers)
