"""Alembic runs this file for each upgrade and downgrade."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], target_metadata=attributes["metadata"])
context.run_migrations()
