"""A company for the benchmarks: 1,000,000 parties in its database, 300 agents with tokens, one connection to a PBX."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import insert, select

from ami_adapter.demo.pbx import DEMO_SECRET, DEMO_USER
from bench.population import number_of, populate
from crm.database import migrate, open_database
from crm.embedded import EmbeddedCluster
from crm.extensions import assign_extension
from crm.rights import command_access
from crm.schema.access import ApiToken, Role, RoleAssignment, User
from crm.sealing import open_seal
from crm.sign_in import token_hash
from crm.telephony import AsteriskSettings, add_connection
from cti.numbers import to_e164

AGENTS = 300
PARTIES = 1_000_000
FIRST_EXTENSION = 1000
CALLERS = 20_000


@dataclass(slots=True)
class Company:
    """`tokens`: extension → API token; `callers`: numbers in E.164 that are in the database, each of one party, and in the plan of numbers."""

    cluster: EmbeddedCluster
    url: str
    environment: dict[str, str]
    tokens: dict[str, str]
    callers: list[str]

    async def close(self) -> None:
        await self.cluster.stop()


async def furnish(folder: Path, *, ami_port: int, parties: int = PARTIES, agents: int = AGENTS) -> Company:
    """Make the company in an empty data folder; its server process joins the cluster that runs here."""
    cluster = EmbeddedCluster(folder)
    url = await cluster.start()
    await migrate(url)
    await populate(url, parties)
    numbers = map(number_of, range(1, parties + 1))
    callers = list(islice((each for each in numbers if to_e164(each).e164 == each), CALLERS))
    tokens = await _agents(url, folder, ami_port, agents)
    return Company(
        cluster=cluster, url=url, environment={"RINGCARD_DATA": str(folder)}, tokens=tokens, callers=callers
    )


async def _agents(url: str, folder: Path, ami_port: int, count: int) -> dict[str, str]:
    database = await open_database(url)
    access = command_access()
    tokens: dict[str, str] = {}
    try:
        async with database.sessions.begin() as session:
            settings = AsteriskSettings(host="127.0.0.1", port=ami_port, user=DEMO_USER)
            seal = open_seal(folder / "key")
            connection_id = await add_connection(
                session, access, name="bench", settings=settings, secret=DEMO_SECRET, seal=seal
            )
            role_id = (await session.execute(select(Role.id).where(Role.code == "agent"))).scalar_one()
            for number in range(count):
                extension, token = str(FIRST_EXTENSION + number), f"rc_{secrets.token_urlsafe(32)}"
                row = {"login": f"agent-{extension}", "name": f"Agent {extension}"}
                user_id = (await session.execute(insert(User).values(row).returning(User.id))).scalar_one()
                await session.execute(insert(RoleAssignment).values(user_id=user_id, role_id=role_id))
                await session.execute(
                    insert(ApiToken).values(
                        user_id=user_id, name="bench", prefix=token[:10], token_hash=token_hash(token)
                    )
                )
                await assign_extension(session, access, connection_id, extension, user_id)
                tokens[extension] = token
    finally:
        await database.close()
    return tokens
