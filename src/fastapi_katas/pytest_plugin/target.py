"""The module under test: which file it is, and how it is loaded fresh for every test."""

from __future__ import annotations

import ast
import importlib.util
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal

from fastapi_katas.probes.places import own_code, place_in_traceback

FaultKind = Literal[
    "undecodable", "syntax", "import", "exit", "missing", "no-app", "renamed", "start-up", "ended"
]


class TargetFault(Exception):  # noqa: N818 - a fault of the module, not of the course
    """The module under test cannot be used at all, so no test can say anything about it.

    Attributes:
        kind: What is wrong, as one word.
        message: One or two sentences for the learner.
        file: The file to look at.
        line: The line in it, counted from 1, or 0 if there is none.
    """

    def __init__(self, kind: FaultKind, message: str, file: Path | str, line: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.file = str(file)
        self.line = line

    @property
    def code(self) -> str:
        """The text of the line, or an empty string."""
        if not self.line:
            return ""
        linecache.checkcache(self.file)
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        code = f"\n    {self.code}" if self.code else ""
        return f"{place}{self.message}{code}"


class RenamedError(TargetFault, AttributeError):
    """A public name of BAD is gone. An AttributeError, so that ``getattr`` defaults still work."""


@dataclass(slots=True)
class Target:
    """The module under test of one kata folder.

    Attributes:
        path: A file such as ``fix.py``, or the folder of a package such as ``fix/``.
        bad: The exhibit that the public names are taken from, or ``None`` if there is none.
    """

    path: Path
    bad: Path | None = None
    _source: dict[Path, CodeType] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the module, importable from the folder of the target."""
        return self.path.stem

    @property
    def entry(self) -> Path:
        """The file that is executed first."""
        return self.path / "__init__.py" if self.path.is_dir() else self.path

    def public_names(self) -> set[str]:
        """The names that BAD defines at its top level: the contract that must stay."""
        if self.bad is None:
            return set()
        entry = self.bad / "__init__.py" if self.bad.is_dir() else self.bad
        names: set[str] = set()
        for node in ast.parse(entry.read_bytes()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            for target in ast.walk(node):
                if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                    names.add(target.id)
                elif isinstance(target, ast.alias):
                    names.add((target.asname or target.name).split(".")[0])
        return names

    @contextmanager
    def loaded(self) -> Iterator[Module]:
        """Execute the module afresh, and forget it when the block ends.

        The source is read once and executed anew each time, so that all tests of a run judge the
        same version, even while an editor saves the next one.

        Raises:
            TargetFault: If the module cannot be executed.
        """
        folder = str(self.path.parent)
        # Behind the installed packages: a file of the learner must not hide one of them. It is
        # there for processes that the module starts, which import it by its name.
        sys.path.append(folder)
        known = set(sys.modules)
        try:
            with own_code(self.path):
                yield Module(self._execute(), self)
        finally:
            own = self.name
            for name in set(sys.modules) - known:
                if name == own or name.startswith(f"{own}."):
                    del sys.modules[name]
            if folder in sys.path:
                sys.path.remove(folder)

    def _execute(self) -> ModuleType:
        entry = self.entry
        spec = importlib.util.spec_from_file_location(
            self.name,
            entry,
            loader=_SnapshotLoader(self.name, str(entry), self),
            submodule_search_locations=[str(self.path)] if self.path.is_dir() else None,
        )
        if spec is None or spec.loader is None:
            raise TargetFault("missing", "This is not a Python module.", entry)
        module = importlib.util.module_from_spec(spec)
        own = self.name
        for name in [name for name in sys.modules if name == own or name.startswith(f"{own}.")]:
            del sys.modules[name]
        sys.modules[own] = module
        try:
            spec.loader.exec_module(module)
        except TargetFault:
            raise
        except SystemExit as error:
            raise self._fault("exit", f"The module ends the process ({error!r}).", error) from None
        except (KeyboardInterrupt, MemoryError):
            raise
        except SyntaxError as error:
            raise _syntax_fault(error, entry) from None
        except BaseException as error:
            raise self._fault(
                "import",
                f"The module cannot be imported: {type(error).__name__}: {error}",
                error,
            ) from error
        return module

    def _fault(self, kind: FaultKind, message: str, error: BaseException) -> TargetFault:
        place = place_in_traceback(error.__traceback__)
        if place is None:
            return TargetFault(kind, message, self.entry)
        return TargetFault(kind, message, place.file, place.line)

    def compiled(self, path: Path) -> CodeType:
        """Read and compile a file once per run.

        Raises:
            TargetFault: If the file is gone, is not text, or is not Python.
        """
        if path not in self._source:
            try:
                source = path.read_bytes()
            except FileNotFoundError:
                message = "There is no such file."
                if self.name == "fix":
                    message = "The file is gone. `kata check` makes a new one; `kata undo` brings "
                    message += "back what a reset took away."
                raise TargetFault("missing", message, path) from None
            except OSError as error:
                raise TargetFault("missing", f"The file cannot be read: {error}", path) from None
            try:
                self._source[path] = compile(source, str(path), "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                raise _source_fault(source, error, path) from None
        return self._source[path]


class _SnapshotLoader(SourceFileLoader):
    """Executes the compiled source that the target keeps; never reads or writes bytecode."""

    def __init__(self, fullname: str, path: str, target: Target) -> None:
        super().__init__(fullname, path)
        self._target = target

    def get_code(self, fullname: str) -> CodeType:
        return self._target.compiled(Path(self.path))


class Module:
    """The loaded module as tests see it: attribute access only, so that its contract is checked.

    A missing name that BAD has is a fault of the module, told once, not a failure of a test.
    """

    def __init__(self, module: ModuleType, target: Target) -> None:
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        module: ModuleType = object.__getattribute__(self, "_module")
        target: Target = object.__getattribute__(self, "_target")
        try:
            return getattr(module, name)
        except AttributeError:
            if name not in target.public_names():
                raise
            if name == "app":
                message = "The module has no `app` any more. The tests send their requests to it."
                raise RenamedError("no-app", message, target.entry) from None
            message = f"The name `{name}` is gone. It is part of the contract and must stay."
            raise RenamedError("renamed", message, target.entry) from None

    def __setattr__(self, name: str, value: Any) -> None:
        getattr(self, name)  # a test may only replace what the contract has
        setattr(object.__getattribute__(self, "_module"), name, value)


def _source_fault(source: bytes, error: SyntaxError | ValueError, path: Path) -> TargetFault:
    try:
        source.decode()
    except UnicodeDecodeError as undecodable:
        if not source.startswith(b"#") or b"coding" not in source[:200]:
            line = source.count(b"\n", 0, undecodable.start) + 1
            message = "The file is not UTF-8 text: it holds bytes that are no characters."
            return TargetFault("undecodable", message, path, line)
    if b"\0" in source:
        line = source.count(b"\n", 0, source.find(b"\0")) + 1
        return TargetFault("undecodable", "The file is not text: it holds null bytes.", path, line)
    if isinstance(error, SyntaxError):
        return _syntax_fault(error, path)
    return TargetFault("undecodable", f"The file is not Python text: {error}.", path)


def _syntax_fault(error: SyntaxError, path: Path) -> TargetFault:
    kind = type(error).__name__
    return TargetFault(
        "syntax", f"{kind}: {error.msg}", error.filename or path, error.lineno or 0
    )

