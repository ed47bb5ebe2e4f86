"""A list as a page shows it: its columns, order and filters, as the address, a saved view and the reader's own choice say.

A page names its list once, as a `ListFrame`; saving views and choosing columns then works for it by its area.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.rights import Access
from crm.saved_views import ViewContent, ViewInfo, columns_of, views_for
from web.keys import ACCESS

MOST_QUERY: Final = 4000  # characters of a query that a form sends back
MOST_VALUE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `is_fixed` ones are always there, `css` are the classes of its cells."""

    name: str
    title: str
    css: str = ""
    is_fixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFrame:
    """One list. `area` names it in saved views; whoever lacks `right` has neither the list nor its views."""

    area: str
    path: str
    title: str
    right: str
    columns: Sequence[Column]
    usual: Sequence[str]  # the columns shown to whoever chose none
    sorts: Mapping[str, str]  # by its word in the address: what people read; the first is the usual one
    filters: Sequence[str]  # their names in the address

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def known(self) -> set[str]:
        return {column.name for column in self.columns}

    def shown(self, chosen: Sequence[str]) -> tuple[Column, ...]:
        """These columns in this order; a column that is gone since is left out, the fixed ones never."""
        wanted = [column for name in chosen or self.usual if (column := self.column(name))]
        fixed = [column for column in self.columns if column.is_fixed and column not in wanted]
        return (*fixed, *wanted)

    def sort(self, word: str) -> str:
        return word if word in self.sorts else next(iter(self.sorts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How the list stands in this answer."""

    frame: ListFrame
    columns: tuple[Column, ...]
    sort: str
    values: Mapping[str, str]  # the filters that are chosen, by name
    view: ViewInfo | None = None
    views: Sequence[ViewInfo] = field(default_factory=tuple)

    @property
    def is_narrow(self) -> bool:
        return bool(self.values)

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def address(self, **more: object) -> str:
        """The list's address with these filters and this order; `more` is added, None takes away."""
        said: dict[str, object] = {**self.values, "sort": self.sort}
        if self.view is not None:
            said["view"] = self.view.id
        said |= more
        kept = {name: value for name, value in said.items() if value not in (None, "")}
        return f"{self.frame.path}?{urlencode(kept)}" if kept else self.frame.path

    def view_address(self, view: ViewInfo) -> str:
        content = view.content
        said = {**content.filters, "sort": self.frame.sort(content.sort), "view": view.id}
        return f"{self.frame.path}?{urlencode(said)}"

    @property
    def content(self) -> ViewContent:
        """What a view of this would keep."""
        names = tuple(column.name for column in self.columns)
        return ViewContent(filters=dict(self.values), sort=self.sort, columns=names)

    @property
    def hidden_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.frame.columns if column not in self.columns)


_FRAMES: Final[dict[str, ListFrame]] = {}


def named(frame: ListFrame) -> ListFrame:
    """Make the list known by its area, for its views and columns."""
    _FRAMES[frame.area] = frame
    return frame


def frame_of(access: Access, area: str) -> ListFrame:
    """The list of this area. Raises NotFound: there is none, or one may not see it."""
    frame = _FRAMES.get(area)
    if frame is None or not access.may(frame.right):
        raise NotFound("list", area[:50])
    return frame


async def arranged(session: AsyncSession, request: web.Request, frame: ListFrame) -> Arrangement:
    """The list as this request wants it.

    A view's filters stand in its address: an address with the view alone is answered by the whole one (303).
    """
    access = request[ACCESS]
    views = await views_for(session, access, frame.area)
    view = _chosen_view(request, views)
    values = values_in(frame, request.query)
    if view is not None and set(request.query) == {"view"}:
        bare = Arrangement(frame=frame, columns=(), sort="", values={})
        raise web.HTTPSeeOther(bare.view_address(view))
    chosen = view.content.columns if view else ()
    return Arrangement(
        frame=frame,
        columns=frame.shown(chosen or await columns_of(session, access, frame.area)),
        sort=frame.sort(request.query.get("sort", "")),
        values=values,
        view=view,
        views=views,
    )


def values_in(frame: ListFrame, query: Mapping[str, str]) -> dict[str, str]:
    """The filters that an address names; what the list does not know is left out."""
    said = {name: query.get(name, "").replace("\0", "").strip()[:MOST_VALUE] for name in frame.filters}
    return {name: value for name, value in said.items() if value}


def content_from(frame: ListFrame, query: str, columns: Sequence[str]) -> ViewContent:
    """What a view keeps, from the query string that a form sends back and the columns on the page."""
    said = dict(parse_qsl(query.removeprefix("?")[:MOST_QUERY]))
    known = frame.known()
    return ViewContent(
        filters=values_in(frame, said),
        sort=frame.sort(said.get("sort", "")),
        columns=tuple(dict.fromkeys(name for name in columns if name in known)),
    )


def _chosen_view(request: web.Request, views: Sequence[ViewInfo]) -> ViewInfo | None:
    """The view that the address names; one that is gone or not ours is as if it were not named."""
    typed = request.query.get("view", "")
    return next((view for view in views if str(view.id) == typed), None)
