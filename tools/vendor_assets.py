"""For maintainers: copy the browser's libraries, icons and fonts from their npm packages into the tree.

    python tools/vendor_assets.py

Needs npm and the network; installing and running ringcard needs neither. Versions stand in `package.json`, what is taken
in `PACKAGES` below. Writes the files, a LICENSE beside each package, and `vendor.lock.json` in each vendor folder, which a
test compares with the files. Vendored files are never edited.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "web" / "static" / "vendor"
TEST_ONLY = ROOT / "tests" / "browser" / "vendor"
SPRITE = "icons.svg"

ICONS = [
    "address-book",
    "alert-triangle",
    "archive",
    "arrow-left",
    "arrows-exchange",
    "ban",
    "bell",
    "bolt",
    "broadcast",
    "building",
    "calendar",
    "check",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "chevron-up",
    "circle-check",
    "circle-x",
    "clock",
    "copy",
    "database",
    "device-desktop",
    "dots",
    "dots-vertical",
    "download",
    "edit",
    "external-link",
    "eye",
    "eye-off",
    "filter",
    "git-merge",
    "headset",
    "help",
    "history",
    "id",
    "info-circle",
    "key",
    "keyboard",
    "layout-dashboard",
    "link",
    "list",
    "loader-2",
    "lock",
    "logout",
    "mail",
    "map-pin",
    "menu-2",
    "message",
    "microphone-off",
    "minus",
    "moon",
    "note",
    "phone",
    "phone-call",
    "phone-check",
    "phone-incoming",
    "phone-off",
    "phone-outgoing",
    "phone-pause",
    "phone-plus",
    "phone-x",
    "player-pause",
    "player-play",
    "player-record",
    "plug-connected",
    "plug-connected-x",
    "plus",
    "refresh",
    "route",
    "search",
    "server",
    "settings",
    "shield",
    "sort-ascending",
    "sort-descending",
    "star",
    "sun",
    "tag",
    "trash",
    "unlink",
    "upload",
    "user",
    "user-off",
    "user-plus",
    "users",
    "users-group",
    "wifi-off",
    "world",
    "x",
]

MIT_TABLER = """MIT License

Copyright (c) 2020-2026 Paweł Kuna

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is taken of one package: file in the archive → name in our folder."""

    package: str
    folder: Path
    name: str
    files: Mapping[str, str]
    licence_text: str | None = None  # for archives without a licence file


PACKAGES = (
    Taken(package="htmx.org", folder=SHIPPED, name="htmx", files={"dist/htmx.min.js": "htmx.min.js"}),
    Taken(
        package="bootstrap",
        folder=SHIPPED,
        name="bootstrap",
        files={"dist/css/bootstrap.min.css": "bootstrap.min.css"},
    ),
    Taken(
        package="@fontsource-variable/golos-text",
        folder=SHIPPED,
        name="golos-text",
        files={
            f"files/golos-text-{subset}-wght-normal.woff2": f"golos-text-{subset}.woff2"
            for subset in ("cyrillic", "latin")
        },
    ),
    Taken(package="@tabler/icons", folder=SHIPPED, name="tabler-icons", files={}, licence_text=MIT_TABLER),
    Taken(
        package="axe-core",
        folder=TEST_ONLY,
        name="axe-core",
        files={"axe.min.js": "axe.min.js", "LICENSE-3RD-PARTY.txt": "LICENSE-3RD-PARTY.txt"},
    ),
)


def main() -> None:
    manifest = json.loads((ROOT / "package.json").read_text("utf-8"))
    versions = manifest["dependencies"] | manifest["devDependencies"]
    if set(versions) != {taken.package for taken in PACKAGES}:
        raise SystemExit("package.json and PACKAGES of tools/vendor_assets.py name different packages")
    with tempfile.TemporaryDirectory() as folder:
        entries = [(taken.folder, vendor(taken, versions[taken.package], Path(folder))) for taken in PACKAGES]
    for place in (SHIPPED, TEST_ONLY):
        write_lock(place, [entry for where, entry in entries if where == place])


def vendor(taken: Taken, version: str, scratch: Path) -> dict[str, Any]:
    """Copy one package's files; the lock's entry for it."""
    source = unpack(taken.package, version, scratch)
    target = taken.folder / taken.name
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    for name_there, name_here in taken.files.items():
        (target / name_here).write_bytes(without_source_map((source / name_there).read_bytes()))
    if taken.package == "@tabler/icons":
        (target / SPRITE).write_text(sprite(source, ICONS), "utf-8")
    licence = taken.licence_text or (source / "LICENSE").read_text("utf-8")
    (target / "LICENSE.txt").write_text(licence, "utf-8")
    declared = json.loads((source / "package.json").read_text("utf-8"))["license"]
    return {
        "package": taken.package,
        "version": version,
        "licence": declared,
        "files": [described(path, taken.folder) for path in sorted(target.iterdir())],
    }


def unpack(package: str, version: str, scratch: Path) -> Path:
    """Fetch a package with npm, which checks its integrity against the registry."""
    packed = subprocess.run(
        ["npm", "pack", f"{package}@{version}", "--json", "--pack-destination", str(scratch)],
        check=True,
        capture_output=True,
        text=True,
    )
    [told] = as_list(json.loads(packed.stdout))
    folder = scratch / re.sub(r"\W+", "-", package)
    with tarfile.open(scratch / told["filename"].replace("@", "").replace("/", "-")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def as_list(told: Any) -> list[Any]:
    """Newer npm answers an object by package name where older ones answered a list."""
    return list(told.values()) if isinstance(told, dict) else told


def without_source_map(content: bytes) -> bytes:
    """The map is not shipped, and a browser's tools would ask for it at every opening."""
    return re.sub(rb"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$", b"\n", content)


def sprite(source: Path, names: Iterable[str]) -> str:
    """One SVG with a symbol for each icon, drawn in the colour of the text around it."""
    symbols = [
        symbol(name, (source / "icons" / "outline" / f"{name}.svg").read_text("utf-8"))
        for name in sorted(names)
    ]
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def symbol(name: str, svg: str) -> str:
    body = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    body = re.sub(r"^.*?<svg[^>]*>|</svg>.*$", "", body, flags=re.DOTALL)
    body = re.sub(r"\s+", " ", body).replace("> <", "><").strip()
    look = 'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
    return f'<symbol id="{name}" viewBox="0 0 24 24" {look}>{body}</symbol>'


def described(path: Path, folder: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "path": path.relative_to(folder).as_posix(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }


def write_lock(folder: Path, entries: list[dict[str, Any]]) -> None:
    text = json.dumps({"packages": entries}, indent=2, ensure_ascii=False)
    (folder / "vendor.lock.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
