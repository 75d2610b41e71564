"""Several processes that share the tests of one run: forks of the one that has collected them.

Tests wait about as long as they compute, so a run ends much earlier when some of them wait at the
same time. No test knows of another one, and each process takes the next tests that nobody has
taken. POSIX only.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

_MOST = 256  # a group is named by one byte


class Sharing:
    """A pytest plugin that forks after the collection, and runs the tests in all the processes.

    The process that pytest began in ends last, and in the same way as a fork that came to harm.
    """

    def __init__(self, processes: int, forked: Callable[[], None]) -> None:
        """Make the plugin.

        Args:
            processes: How many processes share the tests, at the most.
            forked: Called at the beginning of each fork.
        """
        self._processes = processes
        self._forked = forked
        self._forks: list[int] = []
        #: Whether this process is one of the forks.
        self.is_fork = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Take the place of pytest's own loop when there is something to share."""
        groups = _groups(session.items)
        forks = min(self._processes, len(groups)) - 1
        if session.testsfailed or forks < 1 or len(groups) > _MOST:
            return None
        # Whoever reads a byte has taken the group of this number: a read takes it from all others.
        taken, offered = os.pipe()
        os.write(offered, bytes(range(len(groups))))
        os.close(offered)
        for _ in range(forks):
            pid = os.fork()
            if pid == 0:
                self.is_fork, self._forks = True, []
                self._forked()
                break
            self._forks.append(pid)
        while number := os.read(taken, 1):
            group = groups[number[0]]
            for item, following in zip(group, [*group[1:], None], strict=True):
                # What the tests of the module share is kept until the end: pytest tears down what
                # the next item does not need, and any other item needs the module.
                other = following or next(one for one in session.items if one is not item)
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=other)
        os.close(taken)
        return True

    def join(self) -> None:
        """Wait for the forks; end this process as the first fork that did not end well."""
        while self._forks:
            _, status = os.waitpid(self._forks.pop(0), 0)
            code = os.waitstatus_to_exitcode(status)
            if code == 0:
                continue
            for pid in self._forks:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            sys.stdout.flush()
            if code < 0:
                os.kill(os.getpid(), -code)
            os._exit(code)


def _groups(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Put tests that share a fixture of their module together: it is made once, not once for each.

    Returns:
        The groups, in the order of their first tests.
    """
    groups: dict[object, list[pytest.Item]] = {}
    for item in items:
        shared = tuple(sorted(_shared_fixtures(item)))
        groups.setdefault(shared or item, []).append(item)
    return list(groups.values())


def _shared_fixtures(item: pytest.Item) -> set[str]:
    found = getattr(item, "_fixtureinfo", None)  # there is no public way
    definitions = found.name2fixturedefs.items() if found is not None else ()
    return {
        name
        for name, (*_, last) in definitions
        if last.scope != "function" and item.nodeid.startswith(f"{last.baseid}::")
    }
