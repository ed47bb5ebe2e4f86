"""Undoing an import can be stopped and go on, apart from the import itself: it is a state of its own."""

from __future__ import annotations

from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

BEFORE = "'reading', 'uploaded', 'mapped', 'previewed', 'running', 'stopped', 'finished', 'undoing', 'undone'"


def states(words: str) -> None:
    op.execute("alter table import_job drop constraint ck_import_job_state")
    op.execute(f"alter table import_job add constraint ck_import_job_state check (state in ({words}))")


def upgrade() -> None:
    states(f"{BEFORE}, 'undo_stopped'")
    op.execute(
        "update import_job set state = 'undo_stopped' where state = 'stopped' and counts ?| '{undone,kept}'"
    )


def downgrade() -> None:
    op.execute("update import_job set state = 'stopped' where state = 'undo_stopped'")
    states(BEFORE)
