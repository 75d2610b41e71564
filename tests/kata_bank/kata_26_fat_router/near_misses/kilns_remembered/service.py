"""The rules of the studio: what fits into a kiln, what a firing costs, and who gets a mail."""

from collections.abc import Callable

from .models import Firing, NewFiring
from .repository import FiringRepository

AIR = 2  # cm above the ware
LEAST_FEE = 2000  # cents
FEE_PER_100_DEGREES = 250


class NotThereError(Exception):
    """What was asked for does not exist."""


class NotPossibleError(Exception):
    """A rule of the studio stands against it."""


class Studio:
    """Books, shows and finishes firings."""

    def __init__(self, repository: FiringRepository, notify: Callable[[str, str], None]) -> None:
        self._repository = repository
        self._notify = notify

    async def book(self, new: NewFiring) -> Firing:
        """Book a kiln for one firing, and confirm it by mail."""
        kiln = await self._repository.kiln(new.kiln)
        if kiln is None:
            raise NotThereError("There is no such kiln")
        if new.height + AIR > kiln.height:
            raise NotPossibleError("The ware is too high for this kiln")
        if new.heat > kiln.heat:
            raise NotPossibleError("This kiln does not get so hot")
        fee = max(LEAST_FEE, -(-new.heat // 100) * FEE_PER_100_DEGREES)
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
