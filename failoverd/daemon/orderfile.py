"""Orders to move masters as files, beside the journals of moves: JSON, below the runtime directory."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from failoverd.config.regular import read_regular
from failoverd.daemon.files import put
from failoverd.model.declared import NamespaceRef
from failoverd.moves.residing import Order
from failoverd.policy.naming import flat

log = logging.getLogger("failoverd")

FORMAT = 1
SUFFIX = ".order"
LARGEST = 65_536
"""Bytes of a file."""


class OrderFiles:
    """See the module, and Orders in residing.py."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> dict[str, Order]:
        """See Orders."""
        orders: dict[str, Order] = {}
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            try:
                mac, order = loads(read_regular(path, LARGEST).decode())
                if path != self._path(mac):
                    raise ValueError(f"it is about {mac!r}, and its name says otherwise")
            except (OSError, LookupError, RecursionError, TypeError, ValueError) as error:
                log.error("%s: %s; no order is taken from it", path, error)
            else:
                orders[mac] = order
        return orders

    def keep(self, mac: str, order: Order | None) -> None:
        """See Orders."""
        if order is None:
            self._path(mac).unlink(missing_ok=True)
        else:
            put(self._path(mac), dumps(mac, order).encode())

    def _path(self, mac: str) -> Path:
        return self._directory / f"{flat(mac)}{SUFFIX}"


def dumps(mac: str, order: Order) -> str:
    """Return an order as text."""
    document = {"format": FORMAT, "mac": mac, "to": _ref_out(order.to), "key": _ref_out(order.key)}
    return json.dumps(document) + "\n"


def loads(text: str) -> tuple[str, Order]:
    """Read an order. Raises LookupError, TypeError, ValueError."""
    raw = json.loads(text)
    if raw["format"] != FORMAT or not isinstance(raw["mac"], str):
        raise ValueError("it is no order that this failoverd reads")
    return raw["mac"], Order(_ref_in(raw["to"]), _ref_in(raw["key"]))


def _ref_out(ref: NamespaceRef | None) -> list[Any] | None:
    return [ref.by, ref.value, ref.create] if ref is not None else None


def _ref_in(raw: object) -> NamespaceRef | None:
    match raw:
        case None:
            return None
        case [str(by), str(value), bool(create)] if by in ("name", "pid", "path", "container") and value:
            return NamespaceRef(by, value, create)
    raise ValueError(f"{raw!r} names no network namespace")
