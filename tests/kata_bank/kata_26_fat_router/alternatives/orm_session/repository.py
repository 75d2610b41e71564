"""Kilns and firings in the database, through the ORM."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from . import models


class Base(DeclarativeBase):
    metadata = models.metadata


class KilnRow(Base):
    __table__ = models.kilns


class FiringRow(Base):
    __table__ = models.firings


class FiringRepository:
    """Finds, adds and removes rows, and says what it found."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def kiln(self, name: str) -> models.Kiln | None:
        """Return a kiln, or None if there is none with this name."""
        row = await self._session.get(KilnRow, name)
        return None if row is None else models.Kiln.model_validate(row)

    async def firing(self, kiln: str) -> models.Firing | None:
        """Return the firing for which a kiln is booked, or None."""
        row = await self._session.get(FiringRow, kiln)
        return None if row is None else models.Firing.model_validate(row)

    async def add(self, firing: models.Firing) -> bool:
        """Store a firing for good, or return False if its kiln is booked."""
        self._session.add(FiringRow(**firing.model_dump()))
        try:
            await self._session.commit()
        except IntegrityError:
            await self._session.rollback()
            return False
        return True

    async def remove(self, kiln: str) -> models.Firing | None:
        """Remove the firing of a kiln for good and return it, or return None."""
        row = await self._session.get(FiringRow, kiln, with_for_update=True)
        if row is None:
            return None
        firing = models.Firing.model_validate(row)
        await self._session.delete(row)
        await self._session.commit()
        return firing
