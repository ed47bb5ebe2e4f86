"""The office that tests of pages share, one a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crm.database import Database
from tests.web.pages.office import Office, open_office


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office"))) as office:
        yield office
