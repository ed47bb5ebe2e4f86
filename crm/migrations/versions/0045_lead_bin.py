"""The bin of leads; whoever is known from a lead alone goes there with it."""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

UP = (
    """
    create table lead_bin_entry (
        lead_id bigint not null,
        at timestamp with time zone default now() not null,
        by_id bigint,
        via text not null,
        constraint pk_lead_bin_entry primary key (lead_id),
        constraint fk_lead_bin_entry_lead_id foreign key(lead_id) references lead (id),
        constraint fk_lead_bin_entry_by_id foreign key(by_id) references app_user (id)
    )
    """,
    "create index ix_lead_bin_entry_at_lead_id on lead_bin_entry (at desc, lead_id desc)",
    "alter table bin_entry add is_with_lead boolean default false not null",
    """
    insert into permission (role_id, area, action, scope)
    select role.id, 'lead', 'delete', given.scope from role
    join (values ('manager', 'own'), ('head', 'team'), ('admin', 'all')) as given (code, scope) on given.code = role.code
    on conflict do nothing
    """,
    # Where this revision was undone with leads in the bin: they, and who went with them, can be taken out again.
    """
    insert into lead_bin_entry (lead_id, at, via)
    select id, deleted_at, 'command' from lead where deleted_at is not null and merged_into_id is null
    """,
    """
    update bin_entry set is_with_lead = true from party p
    where p.id = bin_entry.party_id and p.lifecycle = 'unqualified' and exists (
        select from lead l join lead_bin_entry e on e.lead_id = l.id where p.id in (l.person_id, l.organisation_id)
    )
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Leads in the bin stay there, as older versions know `deleted_at`; nobody can take them out before the next upgrade."""
    op.execute("delete from permission where area = 'lead' and action = 'delete'")
    op.execute("alter table bin_entry drop is_with_lead")
    op.execute("drop table lead_bin_entry")
