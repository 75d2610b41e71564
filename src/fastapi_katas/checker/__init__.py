"""The checker: runs one kata's tests in a child process and returns a verdict."""

from fastapi_katas.checker.check import check
from fastapi_katas.checker.job import DEFAULT_LIMIT_SECONDS
from fastapi_katas.checker.process import (
    ColdRunner,
    ForkRunner,
    Runner,
    SpareRunner,
    warm_runner,
)
from fastapi_katas.checker.verdict import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_PASSED,
    EXIT_RED,
    EXIT_USAGE,
    CodePlace,
    Fault,
    LessonData,
    TestResult,
    Verdict,
)

__all__ = [
    "DEFAULT_LIMIT_SECONDS", "EXIT_ENVIRONMENT", "EXIT_INTERRUPTED", "EXIT_PASSED", "EXIT_RED",
    "EXIT_USAGE", "CodePlace", "ColdRunner", "Fault", "ForkRunner", "LessonData", "Runner",
    "SpareRunner", "TestResult", "Verdict", "check", "warm_runner",
]
