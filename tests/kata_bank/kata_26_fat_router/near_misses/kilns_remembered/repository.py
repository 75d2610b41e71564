"""Kilns and firings in the database."""

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Firing, Kiln, firings, kilns

_seen: dict[str, Kiln] = {}


class FiringRepository:
    """Finds, adds and removes rows, and says what it found."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def kiln(self, name: str) -> Kiln | None:
        """Return a kiln, or None if there is none with this name."""
        if name not in _seen:
            found = await self._session.execute(select(kilns).where(kilns.c.name == name))
            row = found.one_or_none()
            if row is None:
                return None
            _seen[name] = Kiln.model_validate(row)
        return _seen[name]

    async def firing(self, kiln: str) -> Firing | None:
        """Return the firing for which a kiln is booked, or None."""
        found = await self._session.execute(select(firings).where(firings.c.kiln == kiln))
        row = found.one_or_none()
        return None if row is None else Firing.model_validate(row)

    async def add(self, firing: Firing) -> bool:
        """Store a firing for good, or return False if its kiln is booked."""
        try:
            await self._session.execute(insert(firings).values(firing.model_dump()))
            await self._session.commit()
        except IntegrityError:
            await self._session.rollback()
            return False
        return True

    async def remove(self, kiln: str) -> Firing | None:
        """Remove the firing of a kiln for good and return it, or return None."""
        gone = await self._session.execute(
            delete(firings).where(firings.c.kiln == kiln).returning(firings)
        )
        row = gone.one_or_none()
        await self._session.commit()
        return None if row is None else Firing.model_validate(row)
