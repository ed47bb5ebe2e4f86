"""How Alembic reaches the database: over the connection that `crm.database.migrate` hands in."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from crm.schema import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
