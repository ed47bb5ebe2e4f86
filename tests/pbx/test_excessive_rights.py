"""Whether we notice an account that may too much, from what a real Asterisk says about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ami_adapter.rights import excessive_rights
from tests.pbx.ami_tap import AmiTap
from tests.pbx.asterisk_lab import CONFIG, DIALLER, READER, AsteriskLab

RIGHTS = ("system", "command", "config", "user")
SECRET = "for this test only"
ACCOUNTS = CONFIG / "manager_custom.conf"


@pytest.fixture(scope="module")
def mighty_pbx(pbx: AsteriskLab) -> Iterator[AsteriskLab]:
    """The PBX with one account more for each right, named after it."""
    accounts = [
        f"[may-{right}]\nsecret = {SECRET}\nread = call\nwrite = {right}\n" for right in (*RIGHTS, "all")
    ]
    pbx.put(ACCOUNTS.name, "\n".join([pbx.fitted(ACCOUNTS), *accounts]))
    pbx.cli("manager reload")
    yield pbx
    pbx.put(ACCOUNTS.name, pbx.fitted(ACCOUNTS))
    pbx.cli("manager reload")


@pytest.mark.parametrize("right", RIGHTS)
async def test_t04_each_right_beyond_ours_is_noticed(mighty_pbx: AsteriskLab, right: str) -> None:
    assert right in await noticed(mighty_pbx, f"may-{right}", SECRET)


async def test_t04_an_account_with_all_rights_is_noticed(mighty_pbx: AsteriskLab) -> None:
    assert {"system", "command", "config"} <= set(await noticed(mighty_pbx, "may-all", SECRET))


@pytest.mark.parametrize("account", [READER, DIALLER])
async def test_the_accounts_we_ship_have_no_right_too_many(pbx: AsteriskLab, account: str) -> None:
    assert await noticed(pbx, account, pbx.secret_of(account)) == ()


async def noticed(pbx: AsteriskLab, account: str, secret: str) -> tuple[str, ...]:
    async with AmiTap(pbx, account, secret=secret) as tap:
        (commands,) = await tap.ask("ListCommands")
    return excessive_rights(commands)
