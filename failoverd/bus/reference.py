"""A reference page made from a table of faces."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from failoverd.bus.faces import Arg, Face, Method, Signal

WIDTH = 118


def page(introduction: str, faces: tuple[Face, ...], error_prefix: str, errors: Mapping[str, str]) -> str:
    """The page: the introduction, a chapter for each face, and the errors."""
    lines = [introduction.rstrip("\n")]
    for face in faces:
        lines += _face(face, error_prefix)
    lines += ["", "## Errors", "", "| error | when |", "|---|---|"]
    lines += [f"| `{error_prefix}.{name}` | {text} |" for name, text in errors.items()]
    return "\n".join(lines) + "\n"


def _face(face: Face, error_prefix: str) -> Iterator[str]:
    yield from ("", f"## {face.name}", "", *textwrap.wrap(face.doc, WIDTH))
    if face.properties:
        yield from ("", "| property | type | |", "|---|---|---|")
        for found in face.properties:
            constant = " Does not change." if found.constant else ""
            yield f"| `{found.name}` | `{found.signature}` | {found.doc}{constant} |"
    for method in face.methods:
        yield from _method(method, error_prefix)
    for signal in face.signals:
        yield from _signal(signal)


def _method(method: Method, error_prefix: str) -> Iterator[str]:
    yield from ("", f"### {method.name}({_args(method.takes)}) → ({_args(method.gives)})", "")
    yield from textwrap.wrap(f"{method.doc} {method.whose}", WIDTH)
    yield from _described((*method.takes, *method.gives))
    if method.errors:
        yield from ("", "Errors: " + ", ".join(f"`{error_prefix}.{name}`" for name in method.errors))


def _signal(signal: Signal) -> Iterator[str]:
    yield from ("", f"### Signal {signal.name}({_args(signal.args)})", "", *textwrap.wrap(signal.doc, WIDTH))
    yield from _described(signal.args)


def _args(args: tuple[Arg, ...]) -> str:
    return ", ".join(f"{arg.signature} {arg.name}" for arg in args)


def _described(args: tuple[Arg, ...]) -> Iterator[str]:
    if args:
        yield ""
    for arg in args:
        yield from textwrap.wrap(f"- `{arg.name}`: {arg.doc}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
