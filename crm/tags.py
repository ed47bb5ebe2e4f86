"""Tags on parties: a few words of the company's own directory, put on and taken off."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.directories import TAG
from crm.errors import Invalid
from crm.party_access import editable_party
from crm.rights import Access
from crm.schema.directories import DirectoryEntry, PartyTag


@dataclass(frozen=True, slots=True, kw_only=True)
class TagInfo:
    """A tag as it stands on a party."""

    id: int
    name: str
    colour: str | None


async def tags_of(session: AsyncSession, party_ids: Iterable[int]) -> dict[int, tuple[TagInfo, ...]]:
    """The tags of many parties at once, in the company's order; archived ones stay where they are."""
    rows = await session.execute(
        select(PartyTag.party_id, DirectoryEntry.id, DirectoryEntry.name, DirectoryEntry.colour)
        .join(DirectoryEntry, DirectoryEntry.id == PartyTag.tag_id)
        .where(PartyTag.party_id.in_(list(party_ids)))
        .order_by(DirectoryEntry.position, DirectoryEntry.id)
    )
    tags: dict[int, tuple[TagInfo, ...]] = {}
    for party_id, tag_id, name, colour in rows:
        tags[party_id] = (*tags.get(party_id, ()), TagInfo(id=tag_id, name=name, colour=colour))
    return tags


async def put_tags(
    session: AsyncSession, access: Access, party_id: int, tag_ids: Collection[int], *, via: str = "form"
) -> None:
    """Exactly these tags.

    Raises:
        NotAllowed, NotFound, Invalid (no such tag, or an archived one that the party does not have yet).
    """
    party = await editable_party(session, access, party_id)
    present = {tag.id: tag.name for tag in (await tags_of(session, [party.id])).get(party.id, ())}
    offered = select(DirectoryEntry.id, DirectoryEntry.name).where(
        DirectoryEntry.directory == TAG, DirectoryEntry.archived_at.is_(None)
    )
    known: dict[int, str] = dict((await session.execute(offered)).all()) | present
    for tag_id in tag_ids:
        if tag_id not in known:
            raise Invalid("tags", tag_id, "There is no such tag. Choose one that the directory offers.")
    new = {tag_id: known[tag_id] for tag_id in tag_ids}
    before, after = {"tags": sorted(present.values())}, {"tags": sorted(new.values())}
    if not await record_change(session, access, "party", party.id, before=before, after=after, via=via):
        return
    gone, come = present.keys() - new.keys(), new.keys() - present.keys()
    if gone:
        of_party = PartyTag.party_id == party.id
        await session.execute(delete(PartyTag).where(of_party, PartyTag.tag_id.in_(gone)))
    if come:
        row = {"party_id": party.id, "created_by": access.actor_id}
        await session.execute(insert(PartyTag), [row | {"tag_id": tag_id} for tag_id in sorted(come)])
