"""A database of its own for each test: an SQLite file, or a schema on the server of the machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL

SERVER = "KATA_DATABASE_URL"


@asynccontextmanager
async def fresh_database(folder: Path) -> AsyncIterator[str]:
    """Make an empty database, and remove it at the end.

    Args:
        folder: Where an SQLite file may lie. It is left to whoever made the folder.

    Yields:
        The address for ``create_async_engine``: an SQLite file with the driver aiosqlite, or, when
        the environment variable ``KATA_DATABASE_URL`` names a PostgreSQL server, a role of this
        test alone, which sees nothing but the schema of its own name. To make a schema takes a
        hundredth of the time that a whole database takes.

    Raises:
        ValueError: ``KATA_DATABASE_URL`` is not the address of a PostgreSQL server.
    """
    server = os.environ.get(SERVER)
    if not server:
        yield f"sqlite+aiosqlite:///{(folder / 'kata.db').as_posix()}"
        return

    from sqlalchemy import make_url

    address = make_url(server)
    if address.get_backend_name() != "postgresql":
        msg = f"{SERVER} must begin with postgresql+asyncpg://, not with {address.drivername}://"
        raise ValueError(msg)
    address = address.set(drivername="postgresql+asyncpg")
    name, password = f"kata_{uuid.uuid4().hex}", uuid.uuid4().hex
    await _tell(
        address,
        # PostgreSQL looks for tables in the schema that is named as the role ("$user") first.
        f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
        f"CREATE SCHEMA {name} AUTHORIZATION {name}",
    )
    try:
        own = address.set(username=name, password=password)
        yield own.render_as_string(hide_password=False)
    finally:
        await _tell(
            address,
            # What the module has left open must not keep its tables locked.
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'",  # noqa: S608
            f"DROP SCHEMA {name} CASCADE",
            f"DROP ROLE {name}",
        )


async def _tell(address: URL, *statements: str) -> None:
    """Send statements as the user whom the environment names; the names in them are our own."""
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
