"""Instruments that see what asynchronous web code really does.

They stand alone: use them in any pytest suite. Each one proves something without a clock: a
heartbeat that counts turns of the loop, an upstream that answers only callers who are there
together, the thread that did the work, the order of ASGI events, the tasks that nobody kept, the
statements that a database got.
"""

from fastapi_katas.probes.asgi import Conversation, EventLog, converse
from fastapi_katas.probes.blocking import BlockingCall, blocking_calls
from fastapi_katas.probes.heartbeat import Heartbeat, Held, turns
from fastapi_katas.probes.http import WatchingTransport, crash_of, expect_status
from fastapi_katas.probes.lesson import Lesson, cut, lesson
from fastapi_katas.probes.pauses import pauses
from fastapi_katas.probes.places import (
    Place,
    own_code,
    place_in_stack,
    place_in_thread,
    place_of_awaitable,
    place_of_exception,
    place_of_task,
)
from fastapi_katas.probes.statements import Statement, Statements, statements
from fastapi_katas.probes.tasks import DroppedCoroutine, TaskLedger, TaskRecord, dropped_coroutines
from fastapi_katas.probes.threads import Run, ThreadWitness
from fastapi_katas.probes.upstream import Call, Meeting, Reply, Upstream

__all__ = [
    "BlockingCall",
    "Call",
    "Conversation",
    "DroppedCoroutine",
    "EventLog",
    "Heartbeat",
    "Held",
    "Lesson",
    "Meeting",
    "Place",
    "Reply",
    "Run",
    "Statement",
    "Statements",
    "TaskLedger",
    "TaskRecord",
    "ThreadWitness",
    "Upstream",
    "WatchingTransport",
    "blocking_calls",
    "converse",
    "crash_of",
    "cut",
    "dropped_coroutines",
    "expect_status",
    "lesson",
    "own_code",
    "pauses",
    "place_in_stack",
    "place_in_thread",
    "place_of_awaitable",
    "place_of_exception",
    "place_of_task",
    "statements",
    "turns",
]
