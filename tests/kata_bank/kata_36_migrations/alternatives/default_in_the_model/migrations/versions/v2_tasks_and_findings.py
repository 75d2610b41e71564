"""Version 2: protected trees, findings, tasks, and an index for each foreign key."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Keep every row; nothing here needs a copy of a table."""
    protected = sa.Column("protected", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("trees", protected)
    op.alter_column("inspections", "note", new_column_name="finding")
    op.create_index("ix_inspections_tree_id", "inspections", ["tree_id"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("what", sa.String(200), nullable=False),
    )
    op.create_index("ix_tasks_tree_id", "tasks", ["tree_id"])



def downgrade() -> None:
    """Take it back."""
    op.drop_table("tasks")
    op.drop_index("ix_inspections_tree_id", "inspections")
    op.alter_column("inspections", "finding", new_column_name="note")
    op.drop_column("trees", "protected")
