"""Version 2, first part: what is new may be empty."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("trees", sa.Column("protected", sa.Boolean()))
    op.add_column("inspections", sa.Column("finding", sa.String(200)))
    op.create_index(op.f("ix_inspections_tree_id"), "inspections", ["tree_id"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tree_id", sa.Integer(), sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("what", sa.String(200), nullable=False),
    )
    op.create_index("ix_tasks_tree_id", "tasks", ["tree_id"])



def downgrade() -> None:
    """Take them away."""
    op.drop_table("tasks")
    op.drop_index(op.f("ix_inspections_tree_id"), "inspections")
    with op.batch_alter_table("inspections") as inspections:
        inspections.drop_column("finding")
    with op.batch_alter_table("trees") as trees:
        trees.drop_column("protected")
