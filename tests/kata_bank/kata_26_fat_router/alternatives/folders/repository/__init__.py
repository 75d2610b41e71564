"""What is stored."""

from .firings import FiringRepository

__all__ = ["FiringRepository"]
