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
    )
    op.create_table(
        "inspections",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("note", sa.String(200)),
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("inspections")
    op.drop_table("trees")
