"""``kata self-check`` and ``kata new``: for those who write katas."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from fastapi_katas.catalog.errors import CatalogError
from fastapi_katas.catalog.kata import Kata
from fastapi_katas.cli.context import Plain, course, end, make_face, named
from fastapi_katas.exit_codes import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_PASSED,
    EXIT_RED,
    EXIT_USAGE,
)
from fastapi_katas.services import SERVICES, Service
from fastapi_katas.waiting import StatusLine


def self_check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[N]...", help="Katas; without any, all.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Run everything this many times.")] = 1,
    under_load: Annotated[
        bool, typer.Option("--under-load", help="Run beside busy processes, one per core.")
    ] = False,
    write_patterns: Annotated[
        bool, typer.Option("--write-patterns", help="Save how each near-miss fails.")
    ] = False,
    services: Annotated[
        bool,
        typer.Option(
            "--services", help="Only katas that can use a server, and on the servers, not without."
        ),
    ] = False,
    plain: Plain = False,
) -> None:
    """Prove the promises that every kata makes."""
    from fastapi_katas.selfcheck import SelfCheck  # only this verb needs it

    if services and write_patterns:
        end("Patterns are written without servers: leave out --services.", EXIT_USAGE)
    katas = [named(name) for name in names] if names else list(course())
    face = make_face(plain=plain)
    if services:
        needs = {kata.number: _needs(kata) for kata in katas}
        used = [service for service in SERVICES if any(service.need in n for n in needs.values())]
        katas = [kata for kata in katas if needs[kata.number] & {service.need for service in used}]
        for service in used:
            face.say(use(service))
    line = StatusLine(plain=plain)

    def say(text: str) -> None:
        line.clear()
        face.say(text)

    try:
        outcome = SelfCheck(
            katas,
            repeat=repeat,
            under_load=under_load,
            write_patterns=write_patterns,
            code=not services,
            patterns=not services,
        ).run(progress=say, status=line.show)
    except KeyboardInterrupt:
        line.clear()
        end("Interrupted.", EXIT_INTERRUPTED)
    finally:
        line.clear()
    for promise in outcome.broken:
        face.say()
        face.error(str(promise))
    face.say()
    face.say(outcome.summary(), "bold green" if outcome.ok else "bold red")
    raise typer.Exit(EXIT_PASSED if outcome.ok else EXIT_RED)


def _needs(kata: Kata) -> set[str]:
    try:
        return set(kata.page.head.needs)
    except CatalogError:
        return set()  # told by a self-check without servers


def use(service: Service) -> str:
    """Let the runs of this process use a server.

    Args:
        service: The kind of server; its variable, or else the usual address on this machine, says
            where it is.

    Returns:
        A sentence that says which server it is.

    Raises:
        typer.Exit: No server answers there.
    """
    address = service.address(os.environ)
    if problem := service.unreachable(address):
        end(
            f"{problem}.\nNothing was checked. Start {service.name}, or set {service.variable} to "
            f"the address of a server, for example {service.usual}",
            EXIT_ENVIRONMENT,
        )
    os.environ[service.variable] = address  # the processes that run the tests inherit it
    host, port = service.host_and_port(address)
    return f"The katas run on {service.name} at {host}:{port}."


def new(
    number: Annotated[int, typer.Argument(min=1, max=99, help="The number of the new kata.")],
    slug: Annotated[str, typer.Argument(help="Its short name, for example late_commit.")],
) -> None:
    """Make the skeleton of a kata."""
    from fastapi_katas.selfcheck.skeleton import make_skeleton

    try:
        paths = make_skeleton(course(), number, slug)
    except CatalogError as error:
        end(str(error), EXIT_USAGE)
    for path in paths:
        typer.echo(path)
    typer.echo(f"Fill them in, then run `kata self-check {number}`: it says what is missing.")
