"""The company that tests of the API share, one a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crm.database import Database
from tests.web.api.company import Company, open_company


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    async with open_company(database, Path(tmp_path_factory.mktemp("company"))) as company:
        yield company
