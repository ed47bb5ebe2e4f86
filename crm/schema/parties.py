"""Parties (persons and organisations), their kinds, affiliations, numbers and addresses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Date,
    FetchedValue,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, Binned, HasId, Tracked

ACTIVE = text("ended_at is null")
_LISTED_PERSON = text("type = 'person' and lifecycle = 'active' and deleted_at is null")


# Whose own a party is: whoever is responsible for it, without one whoever entered it.
_KEEPER = "coalesce(owner_id, created_by)"


def _scope_orders(scope: str, column: str) -> Iterable[Index]:
    """One's own parties, or a team's: all of them, and one index for each order of its persons and of its organisations."""
    orders: dict[str, tuple[Any, Any]] = {
        "name": ("sort_name", "id"),
        "last": (text("last_communication_at desc nulls last"), text("id desc")),
        "created": (text("created_at desc"), text("id desc")),
    }
    yield Index(f"ix_party_{scope}", text(column))
    where = text(f"{column} is not null and lifecycle = 'active' and deleted_at is null")
    for order, columns in orders.items():
        yield Index(f"ix_party_{scope}_{order}", text(column), "type", *columns, postgresql_where=where)


def _team_places() -> Iterable[Index]:
    """A team's parties from a source, or from a city."""
    for place in ("source", "city"):
        where = text(
            f"team_id is not null and {place} is not null and lifecycle = 'active' and deleted_at is null"
        )
        yield Index(f"ix_party_team_{place}", "team_id", place, "type", postgresql_where=where)


class Party(HasId, Tracked, Binned, Base):
    """A person or an organisation, whatever we do with them."""

    __tablename__ = "party"
    number: Mapped[int] = mapped_column(unique=True)  # short, for dictating; never reused
    type: Mapped[str]  # person, organisation
    display_name: Mapped[str]
    sort_name: Mapped[str] = mapped_column(
        Text(collation="C")
    )  # normalised; order is the same under every locale
    lifecycle: Mapped[str] = mapped_column(server_default="active")
    source: Mapped[str | None]
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    do_not_call: Mapped[bool] = mapped_column(server_default=text("false"))
    language: Mapped[str | None]
    city: Mapped[str | None]
    note: Mapped[str | None]
    last_talk_at: Mapped[datetime | None]  # kept by the journal
    last_communication_at: Mapped[datetime | None]  # kept by the journal
    custom: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (
        CheckConstraint("type in ('person', 'organisation')", name="type"),
        CheckConstraint("lifecycle in ('unqualified', 'active', 'archived', 'merged')", name="lifecycle"),
        CheckConstraint("(lifecycle = 'merged') = (merged_into_id is not null)", name="merged"),
        Index(
            "ix_party_sort_name_id",
            "sort_name",
            "id",
            postgresql_where=text("lifecycle = 'active' and deleted_at is null"),
        ),
        Index(
            "ix_party_last_communication_at_id",
            text("last_communication_at desc nulls last"),
            text("id desc"),
            postgresql_where=text("lifecycle = 'active' and deleted_at is null"),
        ),
        Index(
            "ix_party_created_at_id",
            text("created_at desc"),
            text("id desc"),
            postgresql_where=text("lifecycle = 'active' and deleted_at is null"),
        ),
        Index("ix_party_person_name", "sort_name", "id", postgresql_where=_LISTED_PERSON),
        Index(
            "ix_party_person_last",
            text("last_communication_at desc nulls last"),
            text("id desc"),
            postgresql_where=_LISTED_PERSON,
        ),
        Index(
            "ix_party_person_created",
            text("created_at desc"),
            text("id desc"),
            postgresql_where=_LISTED_PERSON,
        ),
        Index(
            "ix_party_source_sort_name",
            "source",
            "sort_name",
            "id",
            postgresql_where=text("source is not null and lifecycle = 'active' and deleted_at is null"),
        ),
        Index(
            "ix_party_city_sort_name",
            "city",
            "sort_name",
            "id",
            postgresql_where=text("city is not null and lifecycle = 'active' and deleted_at is null"),
        ),
        Index(
            "ix_party_sort_name_trgm",
            "sort_name",
            postgresql_using="gin",
            postgresql_ops={"sort_name": "gin_trgm_ops"},
        ),
        Index(
            "ix_party_merged_sort_name_trgm",
            "sort_name",
            postgresql_using="gin",
            postgresql_ops={"sort_name": "gin_trgm_ops"},
            postgresql_where=text("merged_into_id is not null"),
        ),
        *_scope_orders("keeper", f"({_KEEPER})"),
        *_scope_orders("team", "team_id"),
        *_team_places(),
    )


class Person(Base):
    __tablename__ = "person"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), primary_key=True)
    last_name: Mapped[str | None]
    first_name: Mapped[str | None]
    middle_name: Mapped[str | None]
    sex: Mapped[str | None]
    birth_date: Mapped[date | None] = mapped_column(Date)
    inn: Mapped[str | None]
    __table_args__ = (
        CheckConstraint("inn ~ '^[0-9]{12}$'", name="inn"),
        Index("uq_person_inn", "inn", unique=True, postgresql_where=text("inn is not null")),
    )


class Organisation(Base):
    __tablename__ = "organisation"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), primary_key=True)
    form: Mapped[str] = mapped_column(server_default="legal")  # legal, sole_trader
    short_name: Mapped[str | None]
    full_name: Mapped[str | None]
    inn: Mapped[str | None]
    kpp: Mapped[str | None]
    ogrn: Mapped[str | None]
    website: Mapped[str | None]
    industry: Mapped[str | None]
    __table_args__ = (
        CheckConstraint("form in ('legal', 'sole_trader')", name="form"),
        CheckConstraint(
            "inn is null or (form = 'legal' and inn ~ '^[0-9]{10}$') or (form = 'sole_trader' and inn ~ '^[0-9]{12}$')",
            name="inn",
        ),
        CheckConstraint(
            "kpp is null or (form = 'legal' and kpp ~ '^[0-9]{4}[0-9A-Z]{2}[0-9]{3}$')", name="kpp"
        ),
        Index(
            "uq_organisation_inn_kpp",
            "inn",
            func.coalesce(text("kpp"), text("''")),
            unique=True,
            postgresql_where=text("inn is not null"),
        ),
        Index("ix_organisation_inn_prefix", "inn", postgresql_ops={"inn": "text_pattern_ops"}),
        Index(
            "ix_organisation_site",
            text(r"rtrim(regexp_replace(lower(website), '^(https?://)?(www\.)?', ''), '/')"),
            postgresql_where=text("website is not null"),
        ),
    )


class PartyKind(HasId, Base):
    __tablename__ = "party_kind"
    code: Mapped[str] = mapped_column(
        unique=True
    )  # prospect, client, supplier, agent, other, and the company's own
    name: Mapped[str]
    position: Mapped[int] = mapped_column(Integer, server_default="0")
    colour: Mapped[str | None]
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    archived_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")


def list_orders(
    name: str, first: tuple[str, ...], where: str = "", last: tuple[str, ...] = ()
) -> Iterable[Index]:
    """One index for each order of a list."""
    orders: dict[str, tuple[Any, Any]] = {
        "name": ("sort_name", "party_id"),
        "last": (text("last_communication_at desc nulls last"), text("party_id desc")),
        "created": (text("party_created_at desc"), text("party_id desc")),
    }
    for order, columns in orders.items():
        yield Index(
            f"{name}_{order}", *first, *columns, *last, postgresql_where=text(where) if where else None
        )


def _kind_scope_orders(scope: str) -> Iterable[Index]:
    """The same of one's own, or of a team: of all kinds together, the kind and whose it is told by the index itself."""
    first, last, name = (f"{scope}_id",), ("kind_id", "owner_id"), f"ix_party_kind_assignment_{scope}"
    yield from list_orders(name, first, f"{scope}_id is not null and status = 'active'", last)
    yield from list_orders(f"{name}_ended", first, f"{scope}_id is not null and status = 'ended'", last)


class PartyKindAssignment(HasId, Base):
    __tablename__ = "party_kind_assignment"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("party_kind.id"))
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    until: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="active")
    paused_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    assigned_by: Mapped[str] = mapped_column(
        server_default="person"
    )  # person, conversion, won_deal, import, rule
    assigned_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    # Copies of the party's columns, kept by triggers, so that every list of a kind has an index in its order: of all, of
    # one's own, of a team, of persons.
    sort_name: Mapped[str] = mapped_column(Text(collation="C"), FetchedValue())
    last_communication_at: Mapped[datetime | None] = mapped_column(FetchedValue())
    party_created_at: Mapped[datetime] = mapped_column(FetchedValue())
    owner_id: Mapped[int | None] = mapped_column(FetchedValue())
    keeper_id: Mapped[int | None] = mapped_column(FetchedValue())  # the owner, without one whoever entered it
    team_id: Mapped[int | None] = mapped_column(FetchedValue())
    party_type: Mapped[str] = mapped_column(FetchedValue())
    __table_args__ = (
        CheckConstraint("status in ('active', 'paused', 'ended')", name="status"),
        CheckConstraint("(status = 'ended') = (until is not null)", name="ended"),
        CheckConstraint("(status = 'paused') = (paused_at is not null)", name="paused"),
        Index(
            "uq_party_kind_assignment_active",
            "party_id",
            "kind_id",
            unique=True,
            postgresql_where=text("status <> 'ended'"),
        ),
        Index("ix_party_kind_assignment_party_id", "party_id"),
        *list_orders("ix_party_kind_assignment", (), "status = 'active'"),
        *list_orders("ix_party_kind_assignment_kind", ("kind_id",), "status = 'active'"),
        *list_orders("ix_party_kind_assignment_paused", ("kind_id",), "status = 'paused'"),
        *list_orders("ix_party_kind_assignment_ended", ("kind_id",), "status = 'ended'"),
        *_kind_scope_orders("keeper"),
        *_kind_scope_orders("team"),
        *list_orders(
            "ix_party_kind_assignment_nobodys", (), "owner_id is null and status = 'active'", ("kind_id",)
        ),
        *list_orders(
            "ix_party_kind_assignment_person", ("kind_id",), "status = 'active' and party_type = 'person'"
        ),
    )


class PartyLack(Base):
    """What a party has not: absence, for lists to find. Kept by triggers; nothing else writes it."""

    __tablename__ = "party_lack"
    lack: Mapped[str] = mapped_column(
        primary_key=True
    )  # number; company: a person with neither firm nor kind
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id", ondelete="cascade"), primary_key=True)
    # Copies of the party's columns, as those of a kind.
    sort_name: Mapped[str] = mapped_column(Text(collation="C"), FetchedValue())
    last_communication_at: Mapped[datetime | None] = mapped_column(FetchedValue())
    party_created_at: Mapped[datetime] = mapped_column(FetchedValue())
    keeper_id: Mapped[int | None] = mapped_column(FetchedValue())
    team_id: Mapped[int | None] = mapped_column(FetchedValue())
    __table_args__ = (
        CheckConstraint("lack in ('number', 'company')", name="lack"),
        Index("ix_party_lack_party_id", "party_id"),
        *list_orders("ix_party_lack", ("lack",)),
        *list_orders("ix_party_lack_keeper", ("lack", "keeper_id"), "keeper_id is not null"),
        *list_orders("ix_party_lack_team", ("lack", "team_id"), "team_id is not null"),
    )


class Affiliation(HasId, Tracked, Base):
    """A person at an organisation; one primary contact per organisation."""

    __tablename__ = "affiliation"
    person_id: Mapped[int] = mapped_column(ForeignKey("person.party_id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.party_id"))
    position: Mapped[str | None]
    contact_role: Mapped[str | None]
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"))
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        Index(
            "uq_affiliation_active_pair", "person_id", "organisation_id", unique=True, postgresql_where=ACTIVE
        ),
        Index(
            "uq_affiliation_primary",
            "organisation_id",
            unique=True,
            postgresql_where=text("is_primary and ended_at is null"),
        ),
        Index("ix_affiliation_organisation_id", "organisation_id"),
        Index("ix_affiliation_person_id", "person_id"),
        CheckConstraint("not is_primary or ended_at is null", name="primary_is_active"),
    )


class PhoneNumber(HasId, Base):
    """A number that exists in the world: E.164, or digits that mean something on one numbering profile only."""

    __tablename__ = "phone_number"
    e164: Mapped[str | None]
    local_digits: Mapped[str | None]
    profile_id: Mapped[int | None] = mapped_column(ForeignKey("numbering_profile.id"))
    country: Mapped[str | None]
    region: Mapped[str | None]  # None: not looked at yet; "": its digits do not tell
    type: Mapped[str | None]
    usage: Mapped[str] = mapped_column(server_default="direct")
    is_spam: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (
        CheckConstraint("usage in ('direct', 'shared')", name="usage"),
        CheckConstraint("(e164 is null) <> (local_digits is null)", name="one_form"),
        CheckConstraint(r"e164 ~ '^\+[0-9]{5,15}$'", name="e164"),
        UniqueConstraint("id", "usage"),
        Index("uq_phone_number_e164", "e164", unique=True, postgresql_where=text("e164 is not null")),
        Index(
            "uq_phone_number_local",
            "local_digits",
            func.coalesce(text("profile_id"), text("0")),
            unique=True,
            postgresql_where=text("local_digits is not null"),
        ),
        Index(
            "ix_phone_number_undescribed",
            "id",
            postgresql_where=text("region is null and e164 is not null"),
        ),
        Index(
            "ix_phone_number_e164_trgm",
            "e164",
            postgresql_using="gin",
            postgresql_ops={"e164": "gin_trgm_ops"},
        ),
    )


class PartyPhone(HasId, Tracked, Base):
    """A number in someone's hands. While it is direct, (number, extension) has one active owner: the database says so."""

    __tablename__ = "party_phone"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    number_id: Mapped[int]
    usage: Mapped[str] = mapped_column(server_default="direct")  # a copy, kept by the cascading foreign key
    extension: Mapped[str] = mapped_column(server_default="")
    label: Mapped[str | None]  # work, mobile, home, …
    presented: Mapped[str]  # as typed
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"))
    do_not_call: Mapped[bool] = mapped_column(server_default=text("false"))
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    is_adopting: Mapped[bool] = mapped_column(
        server_default=text("true")
    )  # earlier calls are to be looked at
    __table_args__ = (
        Index("ix_party_phone_adopting", "id", postgresql_where=text("is_adopting")),
        ForeignKeyConstraint(
            ["number_id", "usage"],
            ["phone_number.id", "phone_number.usage"],
            onupdate="cascade",
            name="fk_party_phone_number_usage",
        ),
        Index(
            "uq_party_phone_direct_owner",
            "number_id",
            "extension",
            unique=True,
            postgresql_where=text("usage = 'direct' and ended_at is null"),
        ),
        Index(
            "uq_party_phone_row", "party_id", "number_id", "extension", unique=True, postgresql_where=ACTIVE
        ),
        Index(
            "uq_party_phone_primary",
            "party_id",
            unique=True,
            postgresql_where=text("is_primary and ended_at is null"),
        ),
        Index("ix_party_phone_number_id", "number_id"),
    )


class EmailAddress(HasId, Base):
    __tablename__ = "email_address"
    address: Mapped[str] = mapped_column(unique=True)  # lower case
    usage: Mapped[str] = mapped_column(server_default="direct")
    __table_args__ = (
        CheckConstraint("usage in ('direct', 'shared')", name="usage"),
        CheckConstraint("address = lower(address)", name="lower"),
        UniqueConstraint("id", "usage"),
        Index(
            "ix_email_address_address_trgm",
            "address",
            postgresql_using="gin",
            postgresql_ops={"address": "gin_trgm_ops"},
        ),
    )


class PartyEmail(HasId, Tracked, Base):
    __tablename__ = "party_email"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    email_id: Mapped[int]
    usage: Mapped[str] = mapped_column(server_default="direct")
    label: Mapped[str | None]
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"))
    bounced_at: Mapped[datetime | None]  # letters come back from it
    bounced_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    opted_out_at: Mapped[datetime | None]  # asked not to be written to
    opted_out_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("bounced_by_id is null or bounced_at is not null", name="bounced"),
        CheckConstraint("opted_out_by_id is null or opted_out_at is not null", name="opted_out"),
        ForeignKeyConstraint(
            ["email_id", "usage"],
            ["email_address.id", "email_address.usage"],
            onupdate="cascade",
            name="fk_party_email_address_usage",
        ),
        Index(
            "uq_party_email_direct_owner",
            "email_id",
            unique=True,
            postgresql_where=text("usage = 'direct' and ended_at is null"),
        ),
        Index("uq_party_email_row", "party_id", "email_id", unique=True, postgresql_where=ACTIVE),
        Index(
            "uq_party_email_primary",
            "party_id",
            unique=True,
            postgresql_where=text("is_primary and ended_at is null"),
        ),
    )


class ExternalRef(HasId, Base):
    __tablename__ = "external_ref"
    system: Mapped[str]
    record_kind: Mapped[str]
    record_id: Mapped[str]
    external_id: Mapped[str]
    __table_args__ = (
        UniqueConstraint("system", "record_kind", "external_id"),
        Index("ix_external_ref_record", "record_kind", "record_id"),
    )
