"""Alembic runs this file for each upgrade and downgrade."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def leave_it_to_us(connection: Any, record: Any) -> None:
    """Keep the driver from beginning transactions."""
    connection.isolation_level = None


def begin(connection: Connection) -> None:
    """Begin with the lock."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def run(connection: Connection) -> None:
    """Run the revisions that are asked for."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": 4711})
    context.configure(
        connection=connection, target_metadata=context.config.attributes["metadata"]
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Open the database, and close it at the end."""
    engine = create_async_engine(context.config.attributes["url"], poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", leave_it_to_us)
        event.listen(engine.sync_engine, "begin", begin)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
