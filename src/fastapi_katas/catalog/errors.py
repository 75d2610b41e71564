"""What can be wrong with the files of the course, and with the words of the person who asks."""

from __future__ import annotations

from pathlib import Path


class CatalogError(Exception):
    """A file of the course breaks its format.

    Attributes:
        path: The file to mend.
        problem: One or two sentences: what is wrong and how to mend it.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class UnknownKataError(LookupError):
    """No kata, or more than one, fits the words that were given.

    Attributes:
        query: The words.
        suggestions: Names of katas that the person may have meant.
        ambiguous: Whether the words fit more than one kata.
    """

    def __init__(self, query: str, suggestions: list[str], *, ambiguous: bool = False) -> None:
        super().__init__(query)
        self.query = query
        self.suggestions = suggestions
        self.ambiguous = ambiguous

    def __str__(self) -> str:
        if self.ambiguous:
            return f"`{self.query}` fits more than one kata: {', '.join(self.suggestions)}."
        if self.suggestions:
            return f"There is no kata `{self.query}`. Did you mean {' or '.join(self.suggestions)}?"
        return f"There is no kata `{self.query}`. `kata list` shows all of them."
