"""Calls that wait: orders first, root's questions next, and a place in the round for each user."""

from __future__ import annotations

from failoverd.bus.waiting import ALL, EACH, Level, Waiting


def taken(waiting: Waiting[str]) -> list[str]:
    return list(iter(waiting.take, None))


def test_each_user_has_his_turn_and_orders_go_first() -> None:
    waiting: Waiting[str] = Waiting()
    for number in range(3):
        assert waiting.put(Level.QUESTION, 1000, f"a{number}") is None
    assert waiting.put(Level.QUESTION, 1001, "b0") is None
    assert waiting.put(Level.ROOT, 0, "root") is None
    assert waiting.put(Level.ORDER, b":1.7", "order") is None
    assert taken(waiting) == ["order", "root", "a0", "b0", "a1", "a2"]
    assert waiting.take() is None


def test_a_user_has_his_share_and_so_have_all_together() -> None:
    waiting: Waiting[str] = Waiting()
    for number in range(EACH):
        assert waiting.put(Level.QUESTION, 1000, f"a{number}") is None
    assert waiting.put(Level.QUESTION, 1000, "one too many") == "one too many"
    others = [waiting.put(Level.QUESTION, 2000 + number, f"{number}") for number in range(ALL)]
    assert others[: ALL - EACH] == [None] * (ALL - EACH)
    assert others[ALL - EACH :][: EACH - 1] == [f"a{number}" for number in range(EACH - 1, 0, -1)]
    assert others[-1] == f"{ALL - 1}", "where everybody has one call there, there is no place for another"
    assert waiting.put(Level.ORDER, 1000, "order") is None
    assert len(taken(waiting)) == ALL + 1
    assert waiting.put(Level.QUESTION, 1000, "again") is None


def test_who_asks_once_has_a_place_beside_one_with_many_connections() -> None:
    """Each of them may be another user's, as far as is known."""
    waiting: Waiting[str] = Waiting()
    for number in range(ALL):
        assert waiting.put(Level.QUESTION, f":1.{number % (ALL // EACH)}", "flood") is None
    assert waiting.put(Level.QUESTION, ":1.0", "one too many") == "one too many"
    assert waiting.put(Level.QUESTION, ":1.99", "once") == "flood"
    assert "once" in taken(waiting)[: ALL // EACH + 1]
