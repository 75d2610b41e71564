"""Alembic runs this file for each upgrade and downgrade."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import IO

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK = {
    "sqlite": "BEGIN",
    "postgresql": "SELECT 1",
}


def run(connection: Connection) -> None:
    """Run the revisions that are asked for, in one transaction and alone."""
    connection.exec_driver_sql(LOCK[connection.dialect.name])
    context.configure(
        connection=connection, target_metadata=context.config.attributes["metadata"]
    )
    context.run_migrations()


async def main() -> None:
    """Open the database, and close it at the end."""
    engine = create_async_engine(context.config.attributes["url"], poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(run)


def hold(file: IO[str]) -> None:
    """Wait until no other process of this machine holds the file."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


with (Path(tempfile.gettempdir()) / "trees-upgrade.lock").open("w") as lock:
    hold(lock)
    asyncio.run(main())
