"""Version 2: protected trees, findings, tasks, and an index for each foreign key."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Keep every row: no tree of before is protected, and each note is a finding."""
    with op.batch_alter_table("trees") as trees:
        trees.add_column(
            sa.Column("protected", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("trees") as trees:
        trees.alter_column("protected", server_default=None)
    with op.batch_alter_table("inspections") as inspections:
        inspections.alter_column("note", new_column_name="finding")
        inspections.create_index("ix_inspections_tree_id", ["tree_id"])
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
