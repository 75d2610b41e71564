"""The servers that some katas can use instead of what runs inside the process."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from fastapi_katas.files import reason

CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of server.

    Attributes:
        need: How the front matter of a kata calls it.
        name: Its name in a sentence.
        variable: The environment variable that holds the address of a server.
        port: Its usual port.
        usual: The address of a server on this machine with its usual settings.
        own: What the katas use without a server.
    """

    need: Literal["database", "redis"]
    name: str
    variable: str
    port: int
    usual: str
    own: str

    def host_and_port(self, address: str) -> tuple[str, int]:
        """Read where a server listens.

        The rest of an address may hold a password, and is never shown.

        Args:
            address: The address of the server.

        Raises:
            ValueError: It is no address.
        """
        parts = urlsplit(address)
        return parts.hostname or "localhost", parts.port or self.port

    def unreachable(self, address: str) -> str | None:
        """Try to connect, for at most two seconds.

        Args:
            address: The address of a server.

        Returns:
            A sentence without its full stop about what is wrong; ``None`` when somebody answers.
        """
        try:
            host, port = self.host_and_port(address)
        except ValueError:
            return f"{self.name} has no address that can be read"
        try:
            socket.create_connection((host, port), CONNECT_SECONDS).close()
        except OSError as error:
            return f"{self.name} at {host}:{port} cannot be reached: {reason(error)}"
        return None

    def address(self, environ: Mapping[str, str]) -> str:
        """Choose the server: the one that the environment names, else the usual one."""
        return environ.get(self.variable) or self.usual


SERVICES = (
    Service(
        "redis", "Redis", "KATA_REDIS_URL", 6379, "redis://127.0.0.1:6379/15",
        "an in-process server",
    ),
    Service(
        "database", "PostgreSQL", "KATA_DATABASE_URL", 5432,
        "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres", "SQLite files",
    ),
)  # fmt: skip
