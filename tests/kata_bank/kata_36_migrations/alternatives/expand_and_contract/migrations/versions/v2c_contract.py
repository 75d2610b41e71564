"""Version 2, last part: what is old goes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Drop the old column, and allow no tree without a value."""
    with op.batch_alter_table("inspections") as inspections:
        inspections.drop_column("note")
    with op.batch_alter_table("trees") as trees:
        trees.alter_column("protected", existing_type=sa.Boolean(), nullable=False)


def downgrade() -> None:
    """Make the old column again, empty for a moment."""
    with op.batch_alter_table("trees") as trees:
        trees.alter_column("protected", existing_type=sa.Boolean(), nullable=True)
    op.add_column("inspections", sa.Column("note", sa.String(200)))
