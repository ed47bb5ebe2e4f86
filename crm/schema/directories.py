"""What the administrator keeps for everybody: directories, required fields, own fields; tags and requisites of parties."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked


class DirectoryEntry(HasId, Base):
    """One word of a directory: a source, a tag, a reason, an industry. Archived, not deleted, once used."""

    __tablename__ = "directory_entry"
    directory: Mapped[str]
    name: Mapped[str]
    position: Mapped[int] = mapped_column(Integer, server_default="0")
    colour: Mapped[str | None]
    code: Mapped[str | None]  # of sources: their name for programs, which never changes
    archived_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    __table_args__ = (
        CheckConstraint("(directory = 'source') = (code is not null)", name="code"),
        Index("uq_directory_entry_code", "code", unique=True, postgresql_where=text("code is not null")),
        CheckConstraint(
            "directory in ('source', 'tag', 'end_reason', 'industry', 'pause_reason', 'callback_reason')",
            name="directory",
        ),
        Index("uq_directory_entry_name", "directory", func.lower(text("name")), unique=True),
    )


class SourceWord(Base):
    """A text, in lower case, that means this source: its name, its code, a former name. Records get the present name (trigger)."""

    __tablename__ = "source_word"
    word: Mapped[str] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("directory_entry.id"), index=True)


class SourceSpread(HasId, Base):
    """Records may still have another text for this source; they are gone through table by table."""

    __tablename__ = "source_spread"
    entry_id: Mapped[int] = mapped_column(ForeignKey("directory_entry.id"), unique=True)
    place: Mapped[int] = mapped_column(Integer, server_default="0")
    after_id: Mapped[int] = mapped_column(BigInteger, server_default="0")


class PartyTag(HasId, Base):
    """A tag on a party; who put it there and when."""

    __tablename__ = "party_tag"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("directory_entry.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    __table_args__ = (
        UniqueConstraint("party_id", "tag_id"),
        Index("ix_party_tag_tag_id", "tag_id", "party_id"),
    )


class RequiredField(Base):
    """A field that a party of this kind must have when it is saved."""

    __tablename__ = "required_field"
    kind_id: Mapped[int] = mapped_column(ForeignKey("party_kind.id", ondelete="cascade"), primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)


class CustomField(HasId, Base):
    """A field of the company's own; its values stand in the `custom` column of the record."""

    __tablename__ = "custom_field"
    record_kind: Mapped[str]
    key: Mapped[str]
    name: Mapped[str]
    type: Mapped[str]
    options: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    archived_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    __table_args__ = (
        CheckConstraint("type in ('text', 'number', 'date', 'flag', 'choice')", name="type"),
        CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,39}$'", name="key"),
        UniqueConstraint("record_kind", "key"),
    )


class BankAccount(HasId, Tracked, Base):
    """An account of a party at a bank; the primary one is what papers show."""

    __tablename__ = "bank_account"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    bic: Mapped[str]
    account: Mapped[str]
    bank: Mapped[str | None]
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"))
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("bic ~ '^[0-9]{9}$'", name="bic"),
        CheckConstraint("account ~ '^[0-9]{20}$'", name="account"),
        CheckConstraint("not is_primary or ended_at is null", name="primary_is_in_use"),
        Index("ix_bank_account_party_id", "party_id"),
        Index(
            "uq_bank_account_row",
            "party_id",
            "bic",
            "account",
            unique=True,
            postgresql_where=text("ended_at is null"),
        ),
        Index("uq_bank_account_primary", "party_id", unique=True, postgresql_where=text("is_primary")),
    )


class Address(HasId, Tracked, Base):
    """Where a party is: its legal address, where it sits, where goods go."""

    __tablename__ = "address"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[str]
    text: Mapped[str]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("kind in ('legal', 'actual', 'delivery')", name="kind"),
        Index("ix_address_party_id", "party_id"),
    )
