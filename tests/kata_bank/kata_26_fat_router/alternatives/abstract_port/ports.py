"""What the service needs from others, and how it refuses."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum

from .models import Firing, Kiln

Notify = Callable[[str, str], None]


class Reason(StrEnum):
    NOT_THERE = "not there"
    UNFIT = "unfit"
    BOOKED = "booked"


class StudioError(Exception):
    """A refusal, with its reason."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Firings(ABC):
    """Where kilns and firings are stored."""

    @abstractmethod
    async def kiln(self, name: str) -> Kiln | None: ...

    @abstractmethod
    async def firing(self, kiln: str) -> Firing | None: ...

    @abstractmethod
    async def add(self, firing: Firing) -> bool: ...

    @abstractmethod
    async def remove(self, kiln: str) -> Firing | None: ...
