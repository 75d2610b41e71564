"""Takes out of a text what belongs to the person and the machine, before it is pasted anywhere."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import getpass
import keyword
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

T = TypeVar("T")

#: A shorter value of a variable, such as `1` or `yes`, tells nothing about a person.
_SHORTEST_VALUE = 4
#: A value at least as long is found within other words too.
_LONG_VALUE = 8


class Redactor:
    """Replaces private paths, names and values of the environment.

    A name or a value that stands in the course's own files is no secret, and replacing it would
    only spoil the text: somebody's user name may be ``app``.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        *,
        home: Path | None = None,
        names: Iterable[str] | None = None,
        public: str = "",
    ) -> None:
        """Collect what must not be told.

        Args:
            root: The root of the course; paths below it become relative.
            environ: The environment variables.
            home: The home folder; that of the user if it is not given.
            names: Names of the user and the machine; found out if they are not given.
            public: Text of the course, whose words are no secrets.
        """
        home = home or Path.home()
        public = public.lower()
        words = set(re.findall(r"\w+", public))
        words |= {
            word.lower() for word in (*keyword.kwlist, *dir(builtins), *sys.stdlib_module_names)
        }
        self._rules: list[tuple[re.Pattern[str], str]] = []

        # The order matters: a longer secret may hold a shorter one.
        self._add_paths((root, ""), inside=True)
        self._add_paths(
            (home, "~"), (sys.prefix, "<environment>"), (tempfile.gettempdir(), "<temp>"),
            (sys.base_prefix, "<python>"),
        )  # fmt: skip
        values = {
            part
            for value in environ.values()
            for part in _parts(value)
            if len(part) >= _SHORTEST_VALUE and part.lower() not in words
            and part.lower() not in public
        }
        self._add(values, "<environment value>")
        told = _names(home) if names is None else names
        self._add({name for name in told if len(name) > 1 and name.lower() not in words}, "<name>")

    def _add_paths(self, *paths: tuple[Path | str, str], inside: bool = False) -> None:
        found: dict[str, str] = {}
        for path, label in paths:
            for form in {str(path), str(Path(path).resolve())}:
                for written in (form, Path(form).as_posix(), repr(form)[1:-1], quote(form)):
                    if len(written) > 1:
                        found[written] = label
        for written in sorted(found, key=len, reverse=True):
            secret = re.escape(written)
            if inside:
                self._rules.append((re.compile(rf"{secret}(?:\\\\|[\\/])", re.IGNORECASE), ""))
            end = r"(?![\w-])"
            self._rules.append((re.compile(secret + end, re.IGNORECASE), found[written] or "."))

    def _add(self, secrets: set[str], label: str) -> None:
        for secret in sorted(secrets, key=len, reverse=True):
            pattern = re.escape(secret)
            if len(secret) < _LONG_VALUE or label == "<name>":
                pattern = rf"(?<![^\W_]){pattern}(?![^\W_])"
            self._rules.append((re.compile(pattern, re.IGNORECASE), label))

    def text(self, text: str) -> str:
        """Return a text without anything private."""
        for pattern, label in self._rules:
            text = pattern.sub(label.replace("\\", r"\\"), text)
        return text

    def data(self, value: T) -> T:
        """Return data without anything private in its texts.

        Args:
            value: A text, a collection or a dataclass; other values stay as they are.
        """
        return self._data(value)  # type: ignore[no-any-return]

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return type(value)(self._data(item) for item in value)
        if isinstance(value, dict):
            return {self._data(key): self._data(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [field.name for field in dataclasses.fields(value) if field.init]
            return dataclasses.replace(
                value, **{name: self._data(getattr(value, name)) for name in fields}
            )
        return value


def _parts(value: str) -> set[str]:
    """Take a value of the environment apart: lines, entries of a list, parts of an address."""
    lines = {value, *value.splitlines()}
    entries = lines | {entry for line in lines for entry in re.split(r"[:;,]", line)}
    addresses = set()
    for line in lines:
        try:
            parts = urlsplit(line)
            found = (parts.username, parts.password, parts.hostname, parts.path.strip("/"))
        except ValueError:
            continue
        if parts.scheme and parts.netloc:
            addresses |= {part for part in found if part}
            addresses |= {unquote(part) for part in found if part}
    plain = {part.strip() for part in entries | addresses}
    return plain | {quote(part, safe="") for part in plain} | {repr(part)[1:-1] for part in plain}


def _names(home: Path) -> set[str]:
    names = {home.name, socket.gethostname(), socket.gethostname().split(".")[0]}
    # Some containers run a process whose user has no name.
    with contextlib.suppress(OSError, KeyError, ImportError):
        names.add(getpass.getuser())
    return names
