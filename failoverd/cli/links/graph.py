"""`failoverctl links graph`: the declared links by namespace, their wires, and what waits for what, as text.

The namespace of failoverd comes first, the others by their names. The picture (picture.py) has the same parts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from failoverd.cli.arguments import UsageError, Wanted
from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.links import show
from failoverd.cli.output import complain, say
from failoverd.cli.quick import dumps
from failoverd.cli.show import text
from failoverd.cli.tables import paint, terminal_text, wants_colour
from failoverd.dataclass import dataclass
from failoverd.model.text import PLACES

Row = dict[str, Any]

MASTER = "failover master"
"""The kind of a master in the graph."""

UTF8 = {"wire": "──", "on": "└─", "side": "│", "top": "┌─", "end": "└"}
ASCII = {"wire": "--", "on": "`-", "side": "|", "top": "+-", "end": "+"}


@dataclass(frozen=True, slots=True)
class Graph:
    """What is drawn."""

    namespaces: dict[str, list[Row]]
    """The links of each namespace; failoverd's own first."""

    wires: list[tuple[Row, Row]]
    """The veths with both ends declared."""

    stands: list[tuple[Row, str, Row | None]]
    """Links that stand on something: the link, on what as declared, and that link where it is a declared one."""

    ports: list[tuple[Row, str, Row | None]]
    """Bridges and VRFs with each of their ports: the link, the port as declared, and that link where it is a declared
    one.
    """

    masters: list[Row]
    """The failover masters that links stand on, as if they were links; they are in failoverd's own namespace."""

    waits: list[tuple[Row, list[Row]]]
    """Links that are not ready, each with those that it needs."""


def graph(wanted: Wanted) -> int:
    """Print the graph as text or JSON, or write the picture. Returns the exit code."""
    options = wanted.options
    if options.keys() >= {"--json", "--svg"}:
        raise UsageError("--svg is a picture, and there is none in JSON: leave --json out", "graph")
    _, rows = show.asked()
    found = graph_of(rows)
    if "--svg" in options:
        from failoverd.cli.links.picture import svg

        return _write(svg(found), options["--svg"])
    if "--quiet" in options:
        return DONE
    if "--json" in options:
        lines = [dumps(document(found))]
    else:
        glyphs = UTF8 if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else ASCII
        lines = list(drawn(found, glyphs, wants_colour(sys.stdout, options.get("--color", "auto")))) or [show.NOTHING]
    return DONE if say(lines) else REFUSED


def graph_of(rows: Sequence[Row]) -> Graph:
    """Arrange the rows of the daemon's answer."""
    by_name = {text(row, "name"): row for row in rows}
    places = sorted({text(row, "namespace") for row in rows}, key=lambda place: (place != "own", place))
    wires = []
    for name, row in by_name.items():
        other = by_name.get(text(row, "peer"))
        if other is not None and text(other, "peer") == name and name < text(other, "name"):
            wires.append((row, other) if text(row, "namespace") == "own" else (other, row))
    lowers = [(row, text(row, "lower")) for row in rows if text(row, "lower")]
    ports = [(row, str(port)) for row in rows for port in _texts(row, "ports")]
    masters = {ref: _master(ref, rows) for _, ref in (*lowers, *ports) if ref.startswith("master:")}
    known = {f"link:{name}": row for name, row in by_name.items()} | masters
    if masters and "own" not in places:
        places = ["own", *places]
    spaces = {place: [row for row in rows if text(row, "namespace") == place] for place in places}
    if masters:
        spaces["own"] = [*masters.values(), *spaces["own"]]
    return Graph(
        spaces,
        wires,
        [(row, lower, known.get(lower)) for row, lower in lowers],
        [(row, port, known.get(port)) for row, port in ports],
        list(masters.values()),
        [(row, show.needs(row, by_name)) for row in rows if text(row, "state") not in ("ready", "released")],
    )


def _texts(row: Row, key: str) -> list[Any]:
    found = row.get(key)
    return found if isinstance(found, list) else []


def _master(ref: str, rows: Sequence[Row]) -> Row:
    """Return a failover master as if it were a link. Whether it is joined is known from those that wait for it."""
    waits = any(text(row, "lower") == ref and text(row, "reason") == "master-absent" for row in rows)
    state = "pending" if waits else "ready"
    return {"name": ref, "device": ref.removeprefix("master:"), "kind": MASTER, "namespace": "own", "state": state}


def document(found: Graph) -> Row:
    """Return the graph as JSON: names in place of rows."""
    return {
        "namespaces": {place: [text(row, "name") for row in rows] for place, rows in found.namespaces.items()},
        "wires": [[text(a, "name"), text(b, "name")] for a, b in found.wires],
        "ports": {text(row, "name"): _texts(row, "ports") for row, _, _ in found.ports},
        "masters": [text(row, "name") for row in found.masters],
        "stands_on": {text(row, "name"): lower for row, lower, _ in found.stands},
        "waits": {
            text(row, "name"): {
                "reason": text(row, "reason"),
                "detail": text(row, "detail"),
                "for": [text(one, "name") for one in needs],
            }
            for row, needs in found.waits
        },
    }


def place_name(place: str) -> str:
    """Name a namespace, as LinkStatus has it, for a heading."""
    by, _, value = place.partition(" ")
    return PLACES[by].format(value).removeprefix("the ") if by in PLACES else "failoverd's own namespace"


def drawn(found: Graph, glyphs: dict[str, str], colour: bool) -> Iterator[str]:
    """Yield the lines of the text."""
    cells = {text(row, "name"): _cells(row) for rows in found.namespaces.values() for row in rows}
    widths = [max((len(cell[i]) for cell in cells.values()), default=0) for i in range(4)]
    ends = _other_ends(found, glyphs)
    for place, rows in found.namespaces.items():
        yield f"{glyphs['top']} {terminal_text(place_name(place))}"
        for row in rows:
            name = text(row, "name")
            *plain, state = cells[name]
            padded = [cell.ljust(width) for cell, width in zip(plain, widths, strict=False)]
            shown = paint(state, colour) + " " * (widths[3] - len(state))
            yield "  ".join([glyphs["side"], *padded, shown, *ends.get(name, [])]).rstrip()
        yield glyphs["end"]
    if found.waits:
        yield "what waits for what"
    for row, needs in found.waits:
        reason = f" ({text(row, 'reason')})" if text(row, "reason") else ""
        yield terminal_text(f"  {text(row, 'name')}: {show.why(row) or text(row, 'state')}{reason}")
        yield from (terminal_text(f"  {glyphs['on']} {text(one, 'name')}: {text(one, 'state')}") for one in needs)


def _cells(row: Row) -> list[str]:
    return [terminal_text(text(row, key)) for key in ("device", "name", "kind", "state")]


def _other_ends(found: Graph, glyphs: dict[str, str]) -> dict[str, list[str]]:
    """Return the words behind a device, by the link's name: where its wire ends, and what it stands on."""
    ends: dict[str, list[str]] = {}
    for one, other in found.wires:
        for near, far in ((one, other), (other, one)):
            place = (
                "" if text(far, "namespace") == text(near, "namespace") else f", {place_name(text(far, 'namespace'))}"
            )
            words = f"{glyphs['wire']} {text(far, 'device')} ({text(far, 'name')}{place})"
            ends.setdefault(text(near, "name"), []).append(terminal_text(words))
    for row, lower, _ in found.stands:
        pod = f", for {show.owner(row)}" if show.owner(row) else ""
        ends.setdefault(text(row, "name"), []).append(terminal_text(f"{glyphs['on']} on {lower}{pod}"))
    for row, ref, port in found.ports:
        ends.setdefault(text(row, "name"), []).append(terminal_text(f"{glyphs['wire']} port {ref}"))
        if port is not None:
            words = f"{glyphs['on']} in {text(row, 'device')} ({text(row, 'name')})"
            ends.setdefault(text(port, "name"), []).append(terminal_text(words))
    return ends


def _write(picture: str, path: str) -> int:
    if path == "-":
        sys.stdout.write(picture)
        return DONE
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - as in history
            file.write(picture)
    except OSError as error:
        return complain(f"{path}: {error.strerror}; the picture was not written", REFUSED)
    return DONE
