"""``kata watch``: checks a kata each time one of its files is saved."""

from fastapi_katas.watch.session import Watch

__all__ = ["Watch"]
