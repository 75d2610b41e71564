"""Version 1: trees and inspections. In production since 2024."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "trees",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("species", sa.String(60), nullable=False),
        sa.Column("street", sa.String(80), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "inspections",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False, index=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("finding", sa.String(200)),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("what", sa.String(200), nullable=False),
    )
    op.create_index("ix_tasks_tree_id", "tasks", ["tree_id"])



def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("tasks")
    op.drop_table("inspections")
    op.drop_table("trees")
