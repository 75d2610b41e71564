"""The rules of the studio: what fits into a kiln, what a firing costs, and who gets a mail."""

from collections.abc import Callable

from .models import Firing, NewFiring
from .repository import FiringRepository


class NotThereError(Exception):
    """What was asked for does not exist."""


class NotPossibleError(Exception):
    """A rule of the studio stands against it."""


class Studio:
    """Books, shows and finishes firings."""

    def __init__(self, repository: FiringRepository, notify: Callable[[str, str], None]) -> None:
        self._repository = repository
        self._notify = notify

    async def book(self, new: NewFiring, fee: int = 0) -> Firing:
        """Book a kiln for one firing, and confirm it by mail."""
        firing = Firing(**new.model_dump(), fee=fee)
        if not await self._repository.add(firing):
            raise NotPossibleError("This kiln is booked already")
        self._notify(firing.potter, f"Kiln {firing.kiln} is yours. The fee is {fee} cents.")
        return firing

    async def show(self, kiln: str) -> Firing:
        """Return the firing for which a kiln is booked."""
        firing = await self._repository.firing(kiln)
        if firing is None:
            raise NotThereError("This kiln is not booked")
        return firing

    async def finish(self, kiln: str) -> None:
        """Make a kiln free again, and ask for the fee by mail."""
        firing = await self._repository.remove(kiln)
        if firing is None:
            raise NotThereError("This kiln is not booked")
        text = f"Your ware in kiln {kiln} is done. Please pay {firing.fee} cents."
        self._notify(firing.potter, text)
