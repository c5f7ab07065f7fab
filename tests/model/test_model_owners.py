"""Who asks, as the log has it."""

from __future__ import annotations

from failoverd.model.actions import SaveJournal
from failoverd.model.owners import PairOf
from failoverd.model.pairs import Goal, Journal

MAC = "52:54:00:fa:11:01"


def test_a_pair_is_called_by_its_mac() -> None:
    assert str(PairOf(MAC)) == MAC


def test_a_journal_is_its_pairs() -> None:
    assert SaveJournal(Journal(MAC, Goal.JOINED, "ens3", True, 1500)).owner == PairOf(MAC)
