"""Version 2, second part: the rows get their values."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Fill the new columns."""
    op.execute("UPDATE trees SET protected = FALSE")
    op.execute("UPDATE inspections SET finding = note")


def downgrade() -> None:
    """The old column may have been empty."""
    op.execute("UPDATE inspections SET note = finding")
