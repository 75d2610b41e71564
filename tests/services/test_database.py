"""The database of one test on a real PostgreSQL server. `nox -s services` runs this file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from fastapi_katas.pytest_plugin.database import fresh_database
from fastapi_katas.services import SERVICES

(POSTGRESQL,) = (service for service in SERVICES if service.need == "database")


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the server, named in the environment."""
    address = POSTGRESQL.address(os.environ)
    monkeypatch.setenv(POSTGRESQL.variable, address)
    return make_url(address).set(drivername="postgresql+asyncpg").render_as_string(False)


async def ask(address: str, *statements: str) -> object:
    """Send statements, commit, and return the first value of the last answer."""
    engine = create_async_engine(address, poolclass=NullPool)
    async with engine.begin() as connection:
        for statement in statements:
            answer = await connection.execute(text(statement))
        return answer.scalar() if answer.returns_rows else None


async def test_each_test_has_a_schema_of_its_own(tmp_path: Path) -> None:
    async with fresh_database(tmp_path) as one, fresh_database(tmp_path) as two:
        await ask(one, "CREATE TABLE bread (name text)", "INSERT INTO bread VALUES ('rye')")
        assert await ask(one, "SELECT name FROM bread") == "rye"
        with pytest.raises(ProgrammingError, match="does not exist"):
            await ask(two, "SELECT name FROM bread")
        await ask(two, "CREATE TABLE bread (name text)")


async def test_nothing_is_left_behind(server: str, tmp_path: Path) -> None:
    async with fresh_database(tmp_path) as own:
        name = make_url(own).username
        left_open = create_async_engine(own)
        connection = await left_open.connect()
        # A lock that would keep the table, and so the schema, for ever.
        await connection.execute(text("CREATE TABLE bread (name text)"))
    for catalog, column in (("pg_roles", "rolname"), ("pg_namespace", "nspname")):
        found = f"SELECT count(*) FROM {catalog} WHERE {column} = '{name}'"
        assert await ask(server, found) == 0
    await connection.invalidate()
    await left_open.dispose()


async def test_address_of_another_database_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(POSTGRESQL.variable, "mysql+aiomysql://root@127.0.0.1/test")
    with pytest.raises(ValueError, match="must begin with postgresql"):
        async with fresh_database(tmp_path):
            pass
