"""Alembic runs this file for each upgrade and downgrade."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def run(connection: Connection) -> None:
    """Run the revisions that are asked for, in one transaction and alone."""
    context.configure(
        transactional_ddl=True,
        connection=connection,
        target_metadata=context.config.attributes["metadata"],
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Open the database, and close it at the end."""
    engine = create_async_engine(context.config.attributes["url"], poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)


asyncio.run(main())
