"""Alembic runs this file for each upgrade and downgrade."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "SELECT pg_advisory_xact_lock(36)",
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


asyncio.run(main())
