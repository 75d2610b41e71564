"""The rules of the studio."""

from .errors import NotPossibleError, NotThereError
from .studio import Studio

__all__ = ["NotPossibleError", "NotThereError", "Studio"]
