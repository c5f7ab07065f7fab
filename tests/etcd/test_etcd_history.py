"""What a removal is, and what only looks like one: histories seen in full, in part, and of another etcd."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from failoverd_etcd.history import HISTORY_LOST, SOURCE_EMPTIED, Change, Held, History, Next, Read, Version

CLOCK = 100.0


def version(created: int, modified: int, digest: str = "x") -> Version:
    return Version(created, modified, digest)


def put(key: str, created: int, modified: int, before: tuple[int, int] | None = None) -> Change:
    return Change(key, modified, version(created, modified), before)


def delete(key: str, revision: int, before: tuple[int, int] | None = None) -> Change:
    return Change(key, revision, None, before)


def read(revision: int, term: int = 2, **keys: Version) -> Read:
    return Read(revision, term, keys)


A, B = version(3, 3), version(4, 5)


def known(obeys: bool = False) -> History:
    """A history that has been read at revision 10."""
    history = History(obeys=obeys)
    history.begin(read(10, a=A, b=B), CLOCK)
    assert (history.revision, history.start, history.pending, history.held) == (10, 11, None, {})
    return history


def test_a_deletion_that_is_seen_is_obeyed() -> None:
    history = known()
    assert history.take([delete("a", 11, (3, 3)), put("c", 11, 11)]) is Next.FOLLOW
    assert history.keys == {"b": B, "c": version(11, 11)}
    assert (history.revision, history.held) == (11, {})


def test_a_deletion_is_obeyed_without_what_was_before_if_etcd_has_dropped_that() -> None:
    history = known()
    assert history.take([delete("a", 11)]) is Next.FOLLOW
    assert history.keys == {"b": B}


def test_a_deletion_of_another_version_than_was_seen_is_not_believed() -> None:
    history = known()
    assert history.take([delete("a", 11, (3, 9))]) is Next.REREAD
    assert history.keys == {"a": A, "b": B}
    history.begin(read(11, b=B), CLOCK)
    assert history.pending is not None
    assert history.take([delete("a", 11, (3, 9))]) is Next.REWATCH
    assert history.held == {"a": Held(HISTORY_LOST, CLOCK)}


def test_an_event_of_the_past_changes_nothing() -> None:
    history = known()
    history.take([delete("b", 5), put("b", 4, 4)])
    assert history.keys == {"a": A, "b": B}


def test_a_return_on_which_nothing_has_happened() -> None:
    history = known()
    history.begin(read(90, a=A, b=B), CLOCK)
    assert (history.revision, history.pending) == (90, None)


def test_a_deletion_during_an_absence_is_obeyed_when_the_watch_has_told_it() -> None:
    history = known()
    history.begin(read(12, b=B, c=version(12, 12)), CLOCK)
    assert history.keys == {"a": A, "b": B}
    assert history.start == 11
    history.take([delete("a", 11, (3, 3))])
    assert history.pending is not None
    history.take([put("c", 12, 12)])
    assert (history.pending, history.held, history.revision) == (None, {}, 12)


def test_what_the_watch_has_not_told_is_held() -> None:
    history = known()
    history.begin(read(12, b=version(4, 12)), CLOCK)
    history.take([put("b", 4, 12, (4, 5)), put("c", 13, 13)])
    assert history.held == {"a": Held(HISTORY_LOST, CLOCK)}
    assert history.keys == {"b": version(4, 12), "c": version(13, 13)}
    assert history.revision == 13


def test_one_word_that_all_was_told_is_not_enough_for_it_may_run_ahead() -> None:
    history = known()
    history.begin(read(12, b=B), CLOCK)
    history.told(11)
    history.told(12)
    history.take([delete("a", 12, (3, 3))])
    assert (history.pending, history.held) == (None, {})


def test_the_point_to_go_on_from_follows_what_etcd_says_one_word_later() -> None:
    history = known()
    history.told(50)
    assert history.revision == 10
    history.told(60)
    assert history.revision == 50


@pytest.mark.parametrize("obeys", [False, True])
@pytest.mark.parametrize(
    "found",
    [read(9, a=A), read(500, 1, a=A), read(9)],
    ids=["an older backup", "another cluster, farther on", "a wiped one"],
)
def test_a_history_that_was_lost(found: Read, obeys: bool) -> None:
    history = known(obeys=obeys)
    history.begin(found, CLOCK)
    missing = sorted({"a", "b"} - found.keys.keys())
    why = HISTORY_LOST if found.keys else SOURCE_EMPTIED
    assert history.held == ({} if obeys else dict.fromkeys(missing, Held(why, CLOCK)))
    assert (history.keys, history.revision, history.term) == (found.keys, found.revision, found.term)


def test_the_same_numbers_with_another_value_are_another_history() -> None:
    history = known()
    history.begin(read(10, a=version(3, 3, "y"), c=version(5, 5)), CLOCK)
    history.told(10)
    history.told(10)
    assert list(history.held) == ["b"]


def test_a_key_that_is_held_and_comes_back_is_no_longer_held() -> None:
    history = known()
    history.begin(read(9, a=A), CLOCK)
    history.begin(read(8), CLOCK + 1)
    assert history.held == {"b": Held(HISTORY_LOST, CLOCK), "a": Held(SOURCE_EMPTIED, CLOCK + 1)}
    history.take([put("b", 9, 9)])
    assert list(history.held) == ["a"]
    history.begin(read(9, a=version(9, 9), b=version(9, 9)), CLOCK)
    history.told(9)
    history.told(9)
    assert (history.held, history.pending) == ({}, None)


def test_a_key_that_is_held_goes_when_it_is_put_and_deleted() -> None:
    history = known()
    history.begin(read(9), CLOCK)
    history.take([put("a", 10, 10), delete("a", 11, (10, 10)), delete("b", 12)])
    assert (list(history.held), history.keys) == (["b"], {})


def test_an_administrator_accepts() -> None:
    history = known()
    history.begin(read(9), CLOCK)
    assert history.accept(["a", "c"]) == ["a"]
    assert list(history.held) == ["b"]


@pytest.mark.parametrize("newest", [version(5, 5), version(5, 80)], ids=["as it was", "with another value"])
def test_a_stretch_that_was_compacted_is_believed_if_the_newest_key_is_there_as_it_was_made(newest: Version) -> None:
    history = History()
    history.begin(read(10, a=A, b=version(5, 5)), CLOCK)
    history.begin(read(99, b=newest), CLOCK)
    assert history.compacted() is Next.REWATCH
    assert (history.keys, history.held, history.start) == ({"b": newest}, {}, 100)


@pytest.mark.parametrize(
    "keys",
    [{}, {"b": version(70, 80)}, {"c": version(4, 5)}, {"b": version(4, 80)}, {"a": A}],
    ids=["nothing", "made anew", "another key", "the newest value is not there", "an older key alone"],
)
def test_a_stretch_that_was_compacted_is_not_believed_otherwise(keys: Mapping[str, Version]) -> None:
    history = known()
    history.begin(Read(99, 2, keys), CLOCK)
    assert history.compacted() is Next.REWATCH
    assert history.held.keys() == {"a", "b"} - keys.keys()
    assert history.start == 100


def test_a_live_watch_that_is_compacted_is_begun_anew() -> None:
    assert known().compacted() is Next.REREAD


@dataclass
class Store:
    """etcd as it keeps one prefix, with all its events; copied, it is a backup."""

    term: int = 2
    revision: int = 1
    keys: dict[str, Version] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    compacted: int = 0
    births: dict[str, str] = field(default_factory=dict)
    """By the digest of a version, that of the first one since its key was made."""
    deleted: set[str] = field(default_factory=set)
    """The first digest of what was deleted on purpose."""

    def change(self, chance: random.Random, ours: bool) -> None:
        self.revision += 1
        if not ours:
            return
        key = chance.choice("abcd")
        old = self.keys.get(key)
        before = (old.created, old.modified) if old is not None else None
        if old is not None and chance.random() < 0.4:
            self.deleted.add(self.births[self.keys.pop(key).digest])
            self.log.append(Change(key, self.revision, None, before))
        else:
            made = old.created if old is not None else self.revision
            digest = f"{chance.random()}"
            self.births[digest] = self.births[old.digest] if old is not None else digest
            self.keys[key] = Version(made, self.revision, digest)
            self.log.append(Change(key, self.revision, self.keys[key], before))

    def copy(self, term: int) -> Store:
        keys, log = dict(self.keys), list(self.log)
        return Store(term, self.revision, keys, log, self.compacted, self.births, self.deleted)

    def read(self) -> Read:
        return Read(self.revision, self.term, dict(self.keys))

    def since(self, start: int) -> list[Change]:
        return [change for change in self.log if change.revision >= start]


class Witness:
    """Looks after each step whether what has gone was deleted on purpose: in the generation that was seen last, or, if
    that was held already, in another one of this etcd's."""

    def __init__(self, history: History) -> None:
        self.history, self.seen, self.held = history, dict[str, Version](), set[str]()

    def look(self, store: Store) -> None:
        if self.history.pending is not None:
            return
        there = self.history.keys.keys() | self.history.held.keys()
        for key, found in self.seen.items():
            is_deleted = store.births[found.digest] in store.deleted
            is_deleted |= key in self.held and any(change.key == key and change.now is None for change in store.log)
            assert key in there or is_deleted, (key, found)
        self.seen = {key: self.history.keys.get(key) or self.seen[key] for key in there}
        self.held = set(self.history.held)


def follow(store: Store, witness: Witness, chance: random.Random) -> None:
    """A connection, which may end at any place."""
    history = witness.history
    history.begin(store.read(), CLOCK)
    witness.look(store)
    for _ in range(chance.randrange(3)):
        store.change(chance, ours=chance.random() < 0.5)
    if history.start <= store.compacted:
        following = history.compacted()
        witness.look(store)
        if following is Next.REREAD:
            return
    rest = store.since(history.start)
    for change in rest:
        following = history.take([change])
        witness.look(store)
        if following is not Next.FOLLOW or chance.random() < 0.1:
            return
    for _ in range(chance.randrange(4)):
        history.told(store.revision)
        witness.look(store)


@pytest.mark.parametrize("seed", range(300))
def test_nothing_goes_that_was_not_deleted(seed: int) -> None:
    """In histories full of restores, wipes, compactions and losses."""
    chance = random.Random(seed)
    store, witness = Store(), Witness(History())
    backups = [store.copy(2)]
    for _ in range(60):
        match chance.randrange(8):
            case 0:
                backups.append(store.copy(store.term))
            case 1 if chance.random() < 0.4:
                store = chance.choice(backups).copy(1)
            case 2 if chance.random() < 0.5:
                store.compacted = max(store.compacted, store.revision - chance.randrange(4))
            case 3:
                store.term += store.term > 1
            case _:
                store.change(chance, ours=chance.random() < 0.8)
        if chance.random() < 0.5:
            follow(store, witness, chance)
    # Left alone, it comes to what is there.
    while witness.history.start <= store.compacted or witness.history.keys != store.keys:
        witness.history.begin(store.read(), CLOCK)
        if witness.history.start <= store.compacted:
            witness.history.compacted()
        for change in store.since(witness.history.start):
            witness.history.take([change])
            witness.look(store)
        witness.history.told(store.revision)
        witness.history.told(store.revision)
        witness.look(store)
    assert not witness.history.held.keys() & store.keys.keys()
