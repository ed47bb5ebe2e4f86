"""Reading requests: query strings and bodies become values of the declared types, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta, UnsetType

from crm.based_changes import Base
from crm.errors import NotFound
from web.i18n import gettext as _

MOST_BODY_BYTES: Final = 256 * 1024
BIGGEST_ID: Final = 2**63 - 1
MOST_ITEMS: Final = 200
_YEARS: Final = range(1900, 2200)
_ETAG: Final = re.compile(r'"([0-9]{1,9})(?:\.([0-9]{1,18}))?"')
_PLACE: Final = re.compile(r" - at `\$\.?(\w*).*`$", re.DOTALL)

# A NUL can be stored nowhere; saying so in the type says it in the document too.
_NO_NUL: Final = r"^[^\x00]*$"
Text = Annotated[str, Meta(max_length=300, pattern=_NO_NUL)]
LongText = Annotated[str, Meta(max_length=10_000, pattern=_NO_NUL)]
Name = Annotated[str, Meta(max_length=300, pattern=_NO_NUL)]
Id = Annotated[int, Meta(ge=1, le=BIGGEST_ID)]
Moment = Annotated[
    str,
    Meta(max_length=40, description="RFC 3339, with a time zone", extra_json_schema={"format": "date-time"}),
]
Limit = Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="how many items at most")]
Cursor = Annotated[str, Meta(max_length=1000, description="`next` of the page before")]

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class NoQuery(msgspec.Struct):
    """An endpoint without query parameters."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """An empty object as a body: the address says everything."""


class PageQuery(msgspec.Struct, kw_only=True):
    """What every list in pages takes."""

    limit: Limit = 50
    cursor: Cursor = ""


class BinQuery(PageQuery, kw_only=True):
    """What lists of deleted records take. `q`: a part of the name, or the record's number."""

    q: Annotated[str, Meta(max_length=100, pattern=_NO_NUL)] = ""


class ChangedQuery(PageQuery, kw_only=True):
    """What lists take that also tell what changed."""

    changed_since: Annotated[
        Moment | UnsetType,
        Meta(
            description="what changed since then, in the order of the changes, `gone` beside it; alone with `limit` and `cursor`"
        ),
    ] = msgspec.UNSET


def read_changed_since(query: ChangedQuery) -> datetime | None:
    """The moment since when changes are asked for; None if the list itself is.

    Raises:
        Unreadable: no moment, or with filters of the list.
    """
    since = read_moment("changed_since", query.changed_since)
    if since is None:
        return None
    alone = type(query)(limit=query.limit, cursor=query.cursor, changed_since=query.changed_since)
    if query != alone:
        raise Unreadable(
            _(
                "“changed_since” goes without filters: it tells all that changed, in the order of the changes."
            ),
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "changed_since",
        )
    return since


class Unreadable(Exception):
    """The request cannot be understood; the text names the value and the remedy."""

    def __init__(self, text: str, status: int = HTTPStatus.BAD_REQUEST, field: str = "") -> None:
        self.status = status
        self.field = field
        super().__init__(text)


def read_query(request: web.Request, into: type[S]) -> S:
    """The query string as the declared type.

    Raises:
        Unreadable: a parameter that does not exist or is given twice (400), or a value that does not fit (422).
    """
    known = into.__struct_encode_fields__
    for name in set(request.query):
        if name not in known:
            raise Unreadable(
                _("There is no parameter “%(name)s” here.") % {"name": name[:50]}, field=name[:50]
            )
        if len(request.query.getall(name)) > 1:
            raise Unreadable(_("The parameter “%(name)s” is given twice.") % {"name": name}, field=name)
    try:
        return msgspec.convert(dict(request.query), into, strict=False)
    except msgspec.ValidationError as error:
        raise _unfit(_("The query is not right: %(why)s."), error) from error


async def read_body(request: web.Request, into: Any) -> Any:
    """The body as the declared type; the API takes JSON only (a form of another site cannot send it).

    Raises:
        Unreadable: another content type (415), too much (413), no JSON (400), a field that is missing, unknown or does not
            fit (422).
    """
    if request.content_type != "application/json":
        raise Unreadable(
            _("The API takes application/json, not “%(type)s”.") % {"type": request.content_type[:100]},
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    body = b"" if (request.content_length or 0) > MOST_BODY_BYTES else await request.read()
    if (request.content_length or len(body)) > MOST_BODY_BYTES:
        raise Unreadable(_("The body is larger than 256 KiB."), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as error:
        raise _unfit(_("The body is not right: %(why)s."), error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(_("The body is no JSON: %(why)s.") % {"why": error}) from error


def check_file(request: web.Request, types: Collection[str]) -> None:
    """Whether the body is a file of these types.

    Raises:
        Unreadable: another content type (415).
    """
    if request.content_type not in types:
        told = {"types": ", ".join(types), "type": request.content_type[:100]}
        raise Unreadable(
            _("Send the file as %(types)s, not “%(type)s”.") % told, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        )


def given(value: T | UnsetType) -> T | None:
    """A parameter's value; None if it was left out."""
    return None if isinstance(value, UnsetType) else value


def read_moment(name: str, text: str | UnsetType) -> datetime | None:
    """The moment that a parameter names; None if it was left out.

    Raises:
        Unreadable: no moment, or without its time zone.
    """
    if isinstance(text, UnsetType):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or moment.year not in _YEARS:
            raise ValueError
        return moment.astimezone(UTC)
    except ValueError as error:
        raise Unreadable(
            _("“%(name)s” is no moment with a time zone. Write it as 2026-11-20T09:00:00Z.") % {"name": name},
            HTTPStatus.UNPROCESSABLE_ENTITY,
            name,
        ) from error


def read_key(request: web.Request, header: str) -> UUID | None:
    """A UUID that a header carries, with or without quotes; None without the header.

    Raises:
        Unreadable: something else.
    """
    text = request.headers.get(header)
    if text is None:
        return None
    try:
        return UUID(text.strip('"'))
    except ValueError as error:
        raise Unreadable(_("%(header)s is a UUID.") % {"header": header}) from error


def read_version(request: web.Request) -> int | None:
    """The version that a change is based on: the ETag handed back in If-Match; None without the header, or with `*`.

    Raises:
        Unreadable: something else.
    """
    base = read_base(request)
    return None if base is None else base.version


def read_base(request: web.Request) -> Base | None:
    """The same with the newest change of a party, which its ETag names behind the version. Raises Unreadable."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    found = _ETAG.fullmatch(text)
    if found is None:
        raise Unreadable(_('If-Match is the ETag of the record, like "3".'))
    version, change = found.groups()
    return Base(version=int(version), change=None if change is None else int(change))


def id_in_path(request: web.Request, name: str = "id") -> int:
    """The number that the address carries.

    Raises:
        NotFound: it is larger than any id.
    """
    value = int(request.match_info[name])
    if not 0 < value <= BIGGEST_ID:
        raise NotFound("record", value)
    return value


def uuid_in_path(request: web.Request, kind: str) -> UUID:
    """The UUID that the address carries. Raises NotFound: it is none."""
    text = request.match_info["id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(kind, text) from error


def _unfit(template: str, error: msgspec.ValidationError) -> Unreadable:
    place = _PLACE.search(str(error))
    text = template % {"why": error}
    return Unreadable(text, HTTPStatus.UNPROCESSABLE_ENTITY, place.group(1) if place else "")
