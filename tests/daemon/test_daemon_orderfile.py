"""Orders to move masters, on disk: they come back, and what is damaged is no order."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from failoverd.daemon.moveorders import MoveOrders
from failoverd.daemon.orderfile import OrderFiles, dumps
from failoverd.model.declared import NamespaceRef
from failoverd.moves.residing import Order

MAC = "52:54:00:fa:11:01"
WEB = NamespaceRef("container", "label:role=web")
FILE = "525400fa1101.order"


@pytest.mark.parametrize("order", [Order(WEB, None), Order(None, NamespaceRef("name", "web", create=True))])
def test_it_comes_back_as_it_was_until_it_is_dropped(order: Order, tmp_path: Path) -> None:
    files = OrderFiles(tmp_path / "away")
    assert files.load() == {}
    files.keep(MAC, order)
    assert OrderFiles(tmp_path / "away").load() == {MAC: order}
    files.keep(MAC, None)
    files.keep(MAC, None)
    assert files.load() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"mac": 7},
        {"mac": "52:54:00:fa:11:02"},
        {"to": ["own", "", False]},
        {"to": ["name", "", False]},
        {"to": ["name", "web"]},
        {"key": 7},
    ],
)
def test_a_damaged_one_is_none(wrong: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text(json.dumps(json.loads(dumps(MAC, Order(WEB, None))) | wrong))
    with caplog.at_level(logging.ERROR):
        assert OrderFiles(tmp_path).load() == {}
    assert "no order is taken from it" in caplog.text


def test_a_start_with_an_order_loads_what_carries_it_out(tmp_path: Path) -> None:
    OrderFiles(tmp_path).keep(MAC, Order(WEB, None))

    async def load() -> None:
        raise AssertionError

    assert MoveOrders(tmp_path, load)._has_something()  # type: ignore[arg-type]
