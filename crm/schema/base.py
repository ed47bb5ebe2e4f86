"""The declarative base, the id of what exists before the database answers, and the columns most tables share."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Integer, MetaData, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table of ringcard; relationships, where there are any, are `lazy="raise"`."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        dict[str, Any]: JSONB(none_as_null=True),
    }


def uuid7(at_ms: int | None = None) -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness; sorts by the time it was made."""
    milliseconds = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    tail = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (tail >> 68 & 0xFFF) << 64
    return UUID(int=value | 0x2 << 62 | tail & 0x3FFFFFFFFFFFFFFF)


def uuid7_texts(count: int) -> list[str]:
    """So many of them at once, as text: for rows written by the hundred."""
    stamp, chance = f"{time.time_ns() // 1_000_000:012x}", os.urandom(10 * count).hex()
    head = f"{stamp[:8]}-{stamp[8:]}-7"
    tails = (chance[start : start + 20] for start in range(0, 20 * count, 20))
    return [f"{head}{tail[:3]}-{'89ab'[int(tail[3], 16) & 3]}{tail[4:7]}-{tail[7:19]}" for tail in tails]


class HasId:
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)


class HasOurId:
    """For what exists before the database answers: the id is made by the program."""

    id: Mapped[UUID] = mapped_column(primary_key=True)


class Tracked:
    """Who made a row and when it last changed; `version` is the optimistic lock."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    version: Mapped[int] = mapped_column(Integer, server_default="1")


class Binned:
    """Deleting goes through the bin: the row stays for 30 days."""

    deleted_at: Mapped[datetime | None]
