"""The work of the studio: functions, which `Studio` puts together with what they use."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from .errors import NotPossibleError, NotThereError
from .models import Firing, NewFiring
from .repository import FiringRepository
from .rules import priced

Notify = Callable[[str, str], None]


async def book(repository: FiringRepository, notify: Notify, new: NewFiring) -> Firing:
    """Book a kiln for one firing, and confirm it by mail."""
    firing = priced(await repository.kiln(new.kiln), new)
    if not await repository.add(firing):
        raise NotPossibleError("This kiln is booked already")
    notify(firing.potter, f"Kiln {firing.kiln} is yours. The fee is {firing.fee} cents.")
    return firing


async def show(repository: FiringRepository, kiln: str) -> Firing:
    """Return the firing for which a kiln is booked."""
    firing = await repository.firing(kiln)
    if firing is None:
        raise NotThereError("This kiln is not booked")
    return firing


async def finish(repository: FiringRepository, notify: Notify, kiln: str) -> None:
    """Make a kiln free again, and ask for the fee by mail."""
    firing = await repository.remove(kiln)
    if firing is None:
        raise NotThereError("This kiln is not booked")
    notify(firing.potter, f"Your ware in kiln {kiln} is done. Please pay {firing.fee} cents.")


@dataclass(frozen=True)
class Desk:
    """The functions of the studio, ready to be called."""

    book: Callable[[NewFiring], Awaitable[Firing]]
    show: Callable[[str], Awaitable[Firing]]
    finish: Callable[[str], Awaitable[None]]


def Studio(repository: FiringRepository, notify: Notify) -> Desk:  # noqa: N802
    """Put the functions together with what they use."""
    return Desk(
        book=partial(book, repository, notify),
        show=partial(show, repository),
        finish=partial(finish, repository, notify),
    )
