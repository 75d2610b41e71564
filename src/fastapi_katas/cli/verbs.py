"""The verbs of the command, each loaded when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

#: Each verb: its module in this package, and the function.
VERBS = {
    "list": ("listing", "list_katas"),
    "board": ("board", "board"),
    "next": ("listing", "next_kata"),
    "show": ("show", "show"),
    "check": ("check", "check"),
    "watch": ("watch", "watch"),
    "hint": ("hint", "hint"),
    "diff": ("work", "diff"),
    "reset": ("work", "reset"),
    "undo": ("work", "undo"),
    "solution": ("solution", "solution"),
    "report": ("report", "report"),
    "doctor": ("doctor", "doctor"),
    "self-check": ("maintain", "self_check"),
    "new": ("maintain", "new"),
}


class Verbs(TyperGroup):
    """Loads only the verb that is called; the help alone loads them all.

    typer reads the parameters of every command that it is given beforehand, and a learner who
    waits for one verb should not wait for thirteen others.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Know the names, for the help and for `Did you mean`; the verbs come later."""
        super().__init__(*arguments, **options)
        self.commands: dict[str, Any] = dict.fromkeys(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, or ``None`` if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module, function = VERBS[cmd_name]
        one = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        home = importlib.import_module(f"fastapi_katas.cli.{module}")
        one.command(cmd_name)(getattr(home, function))
        return typer.main.get_command(one)


app = typer.Typer(
    name="kata",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def kata() -> None:
    """FastAPI katas: repair a broken module until its tests are green."""
