"""The child process: imports the libraries, waits for one job, runs it, and ends.

Started as ``python -m fastapi_katas.checker.child``; the job comes as one line on standard input.
Everything that is found goes to the job's file of events at once, so that nothing is lost when the
module under test ends the process or hangs.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest
import pytest_asyncio.plugin
from _pytest.config import default_plugins

import fastapi_katas.pytest_plugin
from fastapi_katas.checker.job import Job
from fastapi_katas.checker.sharing import Sharing
from fastapi_katas.probes.lesson import Lesson
from fastapi_katas.probes.places import (
    Place,
    place_in_stack,
    place_in_thread,
    place_of_exception,
    place_of_task,
)
from fastapi_katas.pytest_plugin.target import TargetFault

#: What nearly every kata needs; imported before the job is read.
LIBRARIES = (
    "fastapi", "httpx", "asgi_lifespan",
    "fastapi_katas.probes", "anyio._backends._asyncio",
)
#: What some katas need, and what pytest imports when it begins. A process that is kept warm has it.
MORE_LIBRARIES = (
    "sqlalchemy.ext.asyncio", "aiosqlite", "hypothesis", "uvicorn",
    "httpcore", "certifi", "pdb", "pydantic.v1", "pydantic_settings", "jwt",
    *(f"_pytest.{plugin}" for plugin in default_plugins),
)

_DETAILS_LIMIT = 20_000
_GRACE_SECONDS = 3.0


class Recorder:
    """A pytest plugin that writes down what the tests say, and ends a hang."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file: IO[str] = Path(job.events).open("a", encoding="utf-8")  # noqa: SIM115
        self._lock = threading.Lock()
        self._test = ""
        self._watchdog: threading.Timer | None = None
        self._stacks: IO[str] = job.hang_dump.open("w", encoding="utf-8")
        self.process = os.getpid()

    def take_over(self) -> None:
        """Speak for a fork of the process that it was made in."""
        self.process = os.getpid()

    def write(self, event: str, **data: Any) -> None:
        """Append one event."""
        with self._lock:
            self._file.write(json.dumps({"event": event, **data}, default=str) + "\n")
            self._file.flush()

    # --- hangs ---------------------------------------------------------------------------------

    def arm(self) -> None:
        """Begin to wait for the end of what comes now."""
        self.disarm()
        self._watchdog = threading.Timer(self._job.limit, self._end_hang)
        self._watchdog.daemon = True
        self._watchdog.start()
        # For a hang that lets no Python code run at all, not even the timer's.
        faulthandler.dump_traceback_later(
            self._job.limit + _GRACE_SECONDS, file=self._stacks, exit=True
        )

    def disarm(self) -> None:
        """Stop waiting."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        faulthandler.cancel_dump_traceback_later()

    def _end_hang(self) -> None:
        place = _running_place() or _suspended_place()
        self.write("hang", test=self._test, where=_place(place), limit=self._job.limit)
        os.kill(os.getpid(), 9) if os.name == "posix" else _real_exit(1)

    # --- pytest's hooks ------------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        """Choose short tracebacks: nobody reads the long ones unless the report is asked for."""
        if not self._job.report:
            config.option.tbstyle = "native"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write down the tests that will run."""
        tests = [
            {"name": item.name, "kind": _kind(item), "title": _title(item)}
            for item in session.items
        ]
        self.write("collected", tests=tests)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write down what could not be collected."""
        if report.failed:
            self.write("broken-tests", details=str(report.longrepr)[-_DETAILS_LIMIT:])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Watch one test."""
        self._test = nodeid.rsplit("::", 1)[-1]
        self.arm()

    def pytest_runtest_logfinish(self) -> None:
        """Stop watching it."""
        self.disarm()
        self._test = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Iterator[None]:
        """Write down what one phase of a test said."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if report.when == "call" or report.outcome != "passed":
            self.write(
                "report",
                test=item.name,
                when=report.when,
                outcome=report.outcome,
                events=dict(report.user_properties).get("events", []),
                **self._told(call, report),
            )
        return report  # type: ignore[return-value]

    def pytest_warning_recorded(
        self, warning_message: Any, nodeid: str, location: Any
    ) -> None:
        """Write down a warning."""
        if "multi-threaded, use of fork()" in str(warning_message.message):
            return  # the second thread is this recorder's own watchdog
        text = f"{warning_message.category.__name__}: {warning_message.message}"
        place = f"{Path(warning_message.filename).name}:{warning_message.lineno}"
        self.write("warning", text=f"{text} ({place})"[:1000], test=nodeid.rsplit("::", 1)[-1])

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Write down a failure of pytest itself, or of a plugin."""
        self.write("internal-error", details=str(excrepr)[-_DETAILS_LIMIT:])

    def _told(self, call: pytest.CallInfo[Any], report: pytest.TestReport) -> dict[str, Any]:
        if call.excinfo is None or report.outcome == "skipped":
            return {}
        error = call.excinfo.value
        details = report.longreprtext[-_DETAILS_LIMIT:]
        if isinstance(error, TargetFault):
            where = {"file": error.file, "line": error.line, "code": error.code}
            return {"fault": {"kind": error.kind, "message": error.message, "where": where}}
        if isinstance(error, SystemExit):
            place = _place(place_of_exception(error))
            message = f"The module ends the process ({error!r}) while a request is served."
            return {"fault": {"kind": "exit", "message": message, "where": place}}
        if isinstance(error, Lesson):
            told = {
                "key": error.key,
                "seen": error.seen,
                "production": error.production,
                "look": error.look,
                "evidence": error.evidence,
                "where": [_place(place) for place in error.where],
            }
            return {"lesson": told, "details": details}
        first = str(error).strip().split("\n")[0][:500]
        message = first if isinstance(error, AssertionError) else f"{type(error).__name__}: {first}"
        return {
            "message": message.strip() or type(error).__name__,
            "where": _place(place_of_exception(error)),
            "details": details,
        }


def _place(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {"file": place.file, "line": place.line, "code": place.code}


def _kind(item: pytest.Item) -> str:
    return next((kind for kind in ("goal", "guard") if item.get_closest_marker(kind)), "")


def _title(item: pytest.Item) -> str:
    title = (getattr(getattr(item, "function", None), "__doc__", "") or "").strip().split("\n")[0]
    case = getattr(item, "callspec", None)
    # The cases of one test have one sentence; what tells them apart is the name of the case.
    return title if case is None else f"{title.removesuffix('.')}: {case.id}."


def _running_place() -> Place | None:
    """Find an own line that a thread is on: the loop's thread first, then the workers."""
    main = threading.main_thread().ident or 0
    others = [thread.ident for thread in threading.enumerate() if thread.ident not in {None, main}]
    places = (place_in_thread(ident or 0) for ident in (main, *others))
    return next((place for place in places if place is not None), None)


def _suspended_place() -> Place | None:
    import asyncio  # only for a hang

    tasks = [found for found in gc.get_objects() if isinstance(found, asyncio.Task)]
    places = [place_of_task(task) for task in tasks if not task.done()]
    return next((place for place in places if place is not None), None)


_real_exit = os._exit


def _watch_exit(recorder: Recorder) -> None:
    def recorded_exit(code: int) -> NoReturn:
        place = place_in_stack(sys._getframe(1))  # no public way to the caller
        # A process that the module forked, for a pool of its own, ends in this way too.
        if place is not None and os.getpid() == recorder.process:
            message = f"The module ends the process with `os._exit({code})`."
            fault = {"kind": "exit", "message": message, "where": _place(place)}
            recorder.write("fault", fault=fault)
        _real_exit(code)

    os._exit = recorded_exit  # type: ignore[assignment]


def run(job: Job) -> int:
    """Run the tests of a job in this process, which must end afterwards.

    Args:
        job: The job.

    Returns:
        pytest's exit code.
    """
    recorder = Recorder(job)
    _watch_exit(recorder)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Runs that share pytest's usual folder tidy up after each other, and get in each other's way.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(Path(job.events).parent)
    sys.dont_write_bytecode = True
    arguments = [
        "-c", str(Path(__file__).with_name("pytest.ini")),
        "--rootdir", job.root,
        "--import-mode=importlib",
        "-p", "no:cacheprovider",
        "-p", "no:faulthandler",
        "--kata-target", job.target,
    ]  # fmt: skip
    if job.sabotage:
        arguments.append("--kata-sabotage")
    arguments += ["-v", "--color=no"] if job.report else ["-p", "no:terminal", "-s"]
    # pytest's report on standard output comes from one process.
    sharing = Sharing(1 if job.report else job.processes, recorder.take_over)
    # As objects, not by ``-p``: they are imported already, in a warm process long ago.
    plugins = [pytest_asyncio.plugin, fastapi_katas.pytest_plugin, recorder, sharing]
    code = int(pytest.main([*arguments, job.tests], plugins=plugins))
    recorder.disarm()
    if sharing.is_fork:
        return 0
    sharing.join()
    recorder.write("finished", code=code)
    return code


def import_libraries(names: tuple[str, ...]) -> None:
    """Import libraries by name, those that are installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever uses a library is warned by it, not we
        for name in names:
            with suppress(ImportError):
                importlib.import_module(name)


def main() -> NoReturn:
    """Import, wait for a job, run it, end."""
    import_libraries(LIBRARIES + (MORE_LIBRARIES if "--warm" in sys.argv else ()))
    line = sys.stdin.buffer.readline()
    if not line:
        _real_exit(0)
    code = run(Job.from_line(line))
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the module left behind must not keep the process.
    _real_exit(code)


if __name__ == "__main__":
    main()
