"""Refusals of the studio."""

from fastapi import HTTPException


class NotThereError(HTTPException):
    """What was asked for does not exist."""

    def __init__(self, reason: str) -> None:
        super().__init__(404, reason)


class NotPossibleError(HTTPException):
    """A rule of the studio stands against it."""

    def __init__(self, reason: str) -> None:
        super().__init__(409, reason)
