"""A database of its own for each test: an SQLite file, or one on the server of the machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SERVER = "KATA_DATABASE_URL"


@asynccontextmanager
async def fresh_database(folder: Path) -> AsyncIterator[str]:
    """Make an empty database, and remove it at the end.

    Args:
        folder: Where an SQLite file may lie. It is left to whoever made the folder.

    Yields:
        The address for ``create_async_engine``: an SQLite file with the driver aiosqlite, or, when
        the environment variable ``KATA_DATABASE_URL`` names a PostgreSQL server, a database of
        this test alone on it.

    Raises:
        ValueError: ``KATA_DATABASE_URL`` is not the address of a PostgreSQL server.
    """
    server = os.environ.get(SERVER)
    if not server:
        yield f"sqlite+aiosqlite:///{(folder / 'kata.db').as_posix()}"
        return

    from sqlalchemy import make_url, text
    from sqlalchemy.ext.asyncio import create_async_engine

    address = make_url(server)
    if address.get_backend_name() != "postgresql":
        msg = f"{SERVER} must begin with postgresql+asyncpg://, not with {address.drivername}://"
        raise ValueError(msg)
    address = address.set(drivername="postgresql+asyncpg")
    name = f"kata_{uuid.uuid4().hex}"
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f'CREATE DATABASE "{name}"'))
        try:
            yield address.set(database=name).render_as_string(hide_password=False)
        finally:
            async with engine.connect() as connection:
                # What the module has left open must not keep the database on the server.
                await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    finally:
        await engine.dispose()
