"""Refusals of the studio."""


class NotThereError(Exception):
    """What was asked for does not exist."""


class NotPossibleError(Exception):
    """A rule of the studio stands against it."""
