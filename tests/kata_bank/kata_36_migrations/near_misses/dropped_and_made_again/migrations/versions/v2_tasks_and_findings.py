"""Version 2: protected trees, findings, tasks, and an index for each foreign key."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of version 2."""
    op.drop_table("inspections")
    op.drop_table("trees")
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
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("finding", sa.String(200)),
    )
    op.create_index("ix_inspections_tree_id", "inspections", ["tree_id"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("what", sa.String(200), nullable=False),
    )
    op.create_index("ix_tasks_tree_id", "tasks", ["tree_id"])



def downgrade() -> None:
    """Take it back: the notes stay, and what only version 2 knows is gone."""
    op.drop_table("tasks")
    with op.batch_alter_table("inspections") as inspections:
        inspections.drop_index("ix_inspections_tree_id")
        inspections.alter_column("finding", new_column_name="note")
    with op.batch_alter_table("trees") as trees:
        trees.drop_column("protected")
