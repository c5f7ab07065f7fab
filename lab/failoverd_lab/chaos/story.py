"""Run a history from its first moment to its judgement.

The events happen; then all trouble ends and it is quiet. Within two seconds traffic flows again, and when everything
has been tried again, all else is in order as well and no request comes any more. A restart then finds nothing to do,
and a release gives everything back.
"""

from __future__ import annotations

import logging

import trio

from failoverd.config.spec import Join
from failoverd_lab.chaos import look
from failoverd_lab.chaos.events.happen import happen
from failoverd_lab.chaos.ledger import configuration
from failoverd_lab.chaos.machine import ChaosMachine, where
from failoverd_lab.invariants import (
    ALWAYS,
    RELEASED,
    SETTLED,
    SOON,
    SOON_AFTER,
    Device,
    Machine,
    broken,
    is_at_rest,
    restart_agrees,
    signals_are_true,
)

WATCHED = 120.0
"""Seconds of quiet in which no further request may come."""
AGAIN = 12.0
"""Seconds within which a restarted daemon has to finish its work."""


async def tell(chaos: ChaosMachine) -> None:
    """Run all of it, until a violation makes the rest moot."""
    log = logging.getLogger("failoverd")
    listener = _Listener(chaos)
    log.addHandler(listener)
    try:
        async with trio.open_nursery() as chaos.nursery:
            chaos.boot()
            chaos.kernel.on_change(_Always(chaos).judge)
            await _happen(chaos)
            await _judge(chaos)
            chaos.nursery.cancel_scope.cancel()
    finally:
        log.removeHandler(listener)


async def _happen(chaos: ChaosMachine) -> None:
    await chaos.start()
    await trio.sleep(chaos.history.setup.begin)
    for event in chaos.history.events:
        await happen(chaos, event)
        await trio.sleep(event["dt"])


async def _judge(chaos: ChaosMachine) -> None:
    chaos.say("QUIET")
    chaos.faults.over()
    chaos.udev_until.clear()
    others = _others(chaos)
    await chaos.start()
    await trio.sleep(SOON_AFTER)
    _judge_by(chaos, SOON)
    await trio.sleep(2 * _longest(chaos.config.join))
    _judge_by(chaos, SETTLED)
    _judge_signals(chaos)
    _judge_configuration(chaos)
    await _judge_rest(chaos)
    if _others(chaos) != others:
        chaos.fail("only-ours", f"another program's devices were {others}, and are {_others(chaos)}")
    if not chaos.failures:
        await _judge_restart(chaos)
    if not chaos.failures:
        await _judge_release(chaos)


def _longest(join: Join) -> float:
    """Return the seconds after which every refused request has been tried again."""
    return max(join.retry, join.retry_max) + 5 * join.udev_wait


class _Always:
    """Judges the machine whenever masters or their marks may have changed."""

    def __init__(self, chaos: ChaosMachine) -> None:
        self._chaos = chaos
        self._bonds: list[tuple[int, tuple[str, ...]]] = []

    def judge(self) -> None:
        """Called after every change."""
        chaos = self._chaos
        bonds = [(d.index, tuple(d.altnames)) for d in chaos.kernel.net.devices.values() if d.bond is not None]
        if bonds == self._bonds or chaos.touched:
            return
        self._bonds = bonds
        for kind, text in broken(ALWAYS, Machine(look.devices(chaos.kernel.net))):
            chaos.fail(kind, text)


def _judge_by(chaos: ChaosMachine, invariants: tuple[object, ...]) -> None:
    if chaos.engine is None:
        chaos.fail("no-exception", "the daemon does not run any more")
        return
    for kind, text in broken(invariants, look.machine(chaos)):  # type: ignore[arg-type]
        chaos.fail(kind, text)


def _judge_signals(chaos: ChaosMachine) -> None:
    for text in signals_are_true(chaos.signals, look.machine(chaos), chaos.lives):
        chaos.fail("signals-are-true", text)


def _judge_configuration(chaos: ChaosMachine) -> None:
    """Judge that the daemon has lost or doubled no address, route or name. What a journal holds is not lost yet."""
    now = configuration(chaos.kernel.net)
    for item, count in chaos.ledger.balance():
        kind, text = item
        is_stray = item in chaos.strays or (kind == "route" and ("route", "") in chaos.strays)
        if kind != "address" and (chaos.touched or chaos.faults.refused):
            continue
        if kind == "altname" and chaos.kernel.net.device(text) is not None:
            continue  # It is a device's own name now.
        if count > 0 and (not now[item] or (now[item] == 1 and item not in chaos.removed)):
            continue  # A journal had it when its device was unplugged.
        if count < 0 and (is_stray or now[item] >= 1 or _is_kept(chaos, text) or chaos.faults.refused):
            continue
        chaos.fail("configuration-is-kept", f"{kind} {text}: {count:+d} by the daemon; there are {now[item]}")
    for (kind, text), count in now.items():
        if kind == "address" and count > 1 and (kind, text) not in chaos.doubled:
            chaos.fail("configuration-is-kept", f"{text} is there {count} times")


def _is_kept(chaos: ChaosMachine, text: str) -> bool:
    """Return whether a journal, or what was kept of a move, has this address, route or name."""
    journals = chaos.store.kept.journals.values()
    kept = [inet for journal in journals for inet in (journal.inet, journal.extra)]
    if chaos.faults.refused or chaos.touched:
        # Configuration that the kernel refused to take again is kept as lost; nothing else may be.
        kept += chaos.store.kept.lost.values()
    words = [str(one).partition(" ")[0] for inet in kept for one in (*inet.addresses, *inet.routes)]
    words += [name for journal in journals for name in journal.altnames]
    return text.partition(" ")[0].replace("0.0.0.0/0", "default") in words


def _is_blocked(chaos: ChaosMachine) -> bool:
    if chaos.engine is None:
        return True
    pairs = chaos.engine.state.pairs.values()
    return any(pair.work.refusals or pair.state in ("degraded", "joining", "releasing") for pair in pairs)


async def _judge_rest(chaos: ChaosMachine) -> None:
    """Judge that no requests come at rest. A request that is refused again and again may be repeated as often as the
    configuration says."""
    steps, count = chaos.steps, len(chaos.ledger.requests)
    await trio.sleep(WATCHED)
    tries = 4 * len(chaos.pairs) * int(1 + WATCHED / _longest(chaos.config.join)) if _is_blocked(chaos) else 0
    for text in is_at_rest(chaos.ledger.requests[count:], tries, WATCHED):
        chaos.fail("is-at-rest", text)
    polls = WATCHED / chaos.config.tc.carrier_poll * 2.2 * len(chaos.pairs)
    if chaos.steps - steps > WATCHED * 2 + polls:
        chaos.fail("is-at-rest", f"{chaos.steps - steps} steps in {WATCHED:g} s of quiet")
    for mac, pair in chaos.engine.state.pairs.items() if chaos.engine is not None else ():
        if pair.work.batches or pair.work.looking or pair.work.unsure:
            chaos.fail("is-at-rest", f"{mac}: waits for ever: {pair.work.batches or 'for a look'}")


async def _judge_restart(chaos: ChaosMachine) -> None:
    """Judge a restart. Where an order or another program has given names, the daemon may choose another one."""
    before, count = look.machine(chaos), len(chaos.ledger.requests)
    if _is_blocked(chaos):
        return
    await chaos.kill()
    await chaos.start()
    await trio.sleep(AGAIN)
    reasons = {"rename", "swap", "reload", "order", "no-bond", "bond-option"}
    if reasons & {event["op"] for event in chaos.history.events} or "mark" in chaos.touched:
        return
    requests = chaos.ledger.requests[count:]
    if "bond" in chaos.history.setup.without and len(requests) <= len(chaos.pairs):
        # Whether a kernel has bonding is only known by asking it for a bond, which changes nothing where it has not.
        requests = [request for request in requests if request != "NEWLINK"]
    for text in restart_agrees(before, look.machine(chaos), requests):
        chaos.fail("restart-agrees", text)


async def _judge_release(chaos: ChaosMachine) -> None:
    """Judge that everything that can be released is, and is joined again."""
    known = chaos.engine.state.pairs if chaos.engine is not None else {}
    found = look.machine(chaos)
    todo = [one for one in found.hardware if one.nic and known.get(one.mac) is not None and known[one.mac].joined]
    todo = [one for one in todo if not _is_covered(found, one.nics, found.bond(one.mac))]
    for one in todo:
        await chaos.order("release", (one.mac,))
    await trio.sleep(2 * _longest(chaos.config.join))
    released = look.machine(chaos)
    macs = {one.mac for one in todo}
    hardware = [one for one in released.hardware if one.mac in macs]
    freed = Machine(released.devices, hardware, released.masters, released.hindered)
    for kind, text in broken(RELEASED, freed):
        chaos.fail(kind, text)
    _judge_configuration(chaos)
    for one in hardware:
        nic = released.devices.get(one.nic)
        if nic is not None and nic.up and nic.carrier and one.holder and not one.is_doubled and one.path != one.nic:
            chaos.fail(
                "nothing-is-left-behind", f"released, and {one.address} is reached by {one.path}, not {nic.name}"
            )
        await chaos.order("adopt", (one.mac,))
    await trio.sleep(2 * _longest(chaos.config.join))
    _judge_by(chaos, SETTLED)
    _judge_configuration(chaos)


def _is_covered(found: Machine, nics: tuple[int, ...], bond: Device | None) -> bool:
    """Return whether another program's device has enslaved one of these or stands on it: a release waits for that."""
    own = {*nics, bond.ifindex if bond else 0}
    taken = any(found.devices[index].master not in (0, bond.ifindex if bond else 0) for index in own if index)
    return taken or any(device.lower in own - {0} for device in found.devices.values())


def _others(chaos: ChaosMachine) -> list[Device | None]:
    """Return the devices of other programs; a slave that one has taken may be in them."""
    found = look.devices(chaos.kernel.net)
    return [found.get(chaos.foreign[name]) for name in ("dummy9", "enp9")]


class _Listener(logging.Handler):
    """Listens to the daemon's log: a line about a fault of its own is a failure."""

    def __init__(self, chaos: ChaosMachine) -> None:
        super().__init__(logging.DEBUG)
        self._chaos = chaos

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        text = record.getMessage()
        self._chaos.say(f"  log {record.levelname}: {text}")
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            self._chaos.fail("no-exception", f"{text[:80]}: {error!r:.160} at {where(error)}")
        elif "please report" in text:
            self._chaos.fail("no-circles", text)
