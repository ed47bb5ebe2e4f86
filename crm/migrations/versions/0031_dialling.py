"""Calls placed from the screen: the policy, each click, each hand on a call, hand-over cards, dialling accounts of PBXs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0031"
down_revision = "0033"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
DIAL_STATES = "state in ('new', 'sent', 'ringing', 'answered', 'failed', 'refused', 'not_sent', 'unknown')"
RIGHTS = (
    ("call", "place", ("agent", "manager", "head", "admin")),
    ("call", "control", ("agent", "manager", "head", "admin")),
    ("call", "place_unwanted", ("head", "admin")),
    ("dialling", "manage", ("telephony", "admin")),
)


def upgrade() -> None:
    op.add_column(
        "pbx_connection", sa.Column("dialling", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False)
    )
    op.add_column("pbx_connection", sa.Column("dialling_secret", sa.LargeBinary))
    _make_policy()
    _make_requests()
    _make_actions()
    _make_cards()
    for area, action, roles in RIGHTS:
        op.get_bind().execute(
            sa.text(
                "insert into permission (role_id, area, action, scope) "
                "select id, :area, :action, 'all' from role where code = any(:roles)"
            ),
            {"area": area, "action": action, "roles": list(roles)},
        )


def downgrade() -> None:
    op.execute(
        "delete from permission where (area, action) in "
        "(('call', 'place'), ('call', 'control'), ('call', 'place_unwanted'), ('dialling', 'manage'))"
    )
    for table in ("hand_over_card", "call_control", "dial_request", "dialling_policy"):
        op.drop_table(table)
    op.drop_column("pbx_connection", "dialling_secret")
    op.drop_column("pbx_connection", "dialling")


def _make_policy() -> None:
    op.create_table(
        "dialling_policy",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        _flag("is_stopped"),
        sa.Column("countries", ARRAY(sa.Text), server_default=sa.text("'{}'"), nullable=False),
        _flag("allows_premium"),
        _flag("allows_short"),
        _limit("most_per_hour", 60),
        _limit("most_per_day", 300),
        _limit("most_of_all", 5000),
        _now("updated_at"),
        sa.Column("version", sa.Integer, server_default="1", nullable=False),
        sa.CheckConstraint("id = 1", name="single"),
        sa.CheckConstraint("most_per_hour >= 0 and most_per_day >= 0 and most_of_all >= 0", name="limits"),
    )
    op.execute(
        "insert into dialling_policy (id, countries) select 1, array_agg(distinct region) from numbering_profile"
        " having count(*) > 0"
    )
    op.execute("insert into dialling_policy (id) values (1) on conflict do nothing")


def _make_requests() -> None:
    op.create_table(
        "dial_request",
        _our_id(),
        _user(),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("connection_id", sa.BigInteger, sa.ForeignKey("pbx_connection.id"), nullable=False),
        _text("extension"),
        _text("target"),
        _text("typed"),
        sa.Column("line_id", sa.BigInteger, sa.ForeignKey("line.id")),
        sa.Column("override_reason", sa.Text),
        sa.Column("state", sa.Text, server_default="new", nullable=False),
        sa.Column("reason", sa.Text),
        _now("created_at"),
        sa.Column("sent_at", MOMENT),
        sa.Column("settled_at", MOMENT),
        sa.UniqueConstraint("user_id", "request_id"),
        sa.CheckConstraint(DIAL_STATES, name="state"),
        sa.CheckConstraint("state in ('new', 'not_sent') or sent_at is not null", name="sent"),
    )
    op.execute("create index ix_dial_request_user_id_created_at on dial_request (user_id, created_at desc)")
    op.execute("create index ix_dial_request_created_at on dial_request (created_at desc)")
    op.execute(
        "create index ix_dial_request_unsettled on dial_request (id) where state in ('new', 'sent', 'ringing')"
    )


def _make_actions() -> None:
    op.create_table(
        "call_control",
        _our_id(),
        sa.Column("call_id", sa.Uuid, nullable=False),
        _user(),
        _text("action"),
        sa.Column("target", sa.Text),
        _now("at"),
        sa.Column("outcome", sa.Text),
        sa.CheckConstraint("outcome in ('done', 'refused', 'not_sent', 'unknown')", name="outcome"),
    )
    op.create_index("ix_call_control_call_id", "call_control", ["call_id", "at"])


def _make_cards() -> None:
    op.create_table(
        "hand_over_card",
        _our_id(),
        sa.Column("call_id", sa.Uuid, nullable=False),
        _user(),
        _text("from_extension"),
        _text("to_target"),
        _text("reason"),
        _text("note"),
        sa.Column("caller", sa.Text),
        _now("at"),
    )
    op.create_index("ix_hand_over_card_call_id", "hand_over_card", ["call_id", "at"])


def _our_id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def _user() -> sa.Column[Any]:
    return sa.Column("user_id", sa.BigInteger, sa.ForeignKey("app_user.id"), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, server_default=sa.text("false"), nullable=False)


def _limit(name: str, usual: int) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, server_default=str(usual), nullable=False)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, MOMENT, server_default=sa.text("now()"), nullable=False)
