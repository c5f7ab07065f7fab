"""One step further for one pair: ask the planner, and when it rests, the election.

Nothing is sent for a pair while an answer is outstanding for it, or while answers were lost and the devices not seen
since. The exception is a switch of the active slave: that is why the daemon exists, and it is right whatever the
planner is waiting for. A step that switches does nothing else for the pair, so that it is over sooner; the answer
triggers the next step.
"""

from __future__ import annotations

from failoverd.core.auto_naming import wish
from failoverd.core.boot_names import remember_name
from failoverd.core.configurers import awaited
from failoverd.core.crowding import look, next_look
from failoverd.core.failovers import role_of, settle_signal
from failoverd.core.matching import rejudge
from failoverd.core.orders import rename
from failoverd.core.paths import stand
from failoverd.core.reasons import lost_text, settled_state
from failoverd.core.situations import found_pair, is_wanted, situation, udev_deadline
from failoverd.core.slave_repairs import entering, lift, undo
from failoverd.core.state import SELDOM, PairState, State
from failoverd.core.switch import switch, update_timers
from failoverd.model.actions import Action, DropJournal, Emit, FetchInet, KeepLost, Peek, SaveJournal, Say
from failoverd.model.owners import Part
from failoverd.model.pairs import Goal, Inet, Pair
from failoverd.model.requests import SetActive, SetMaster
from failoverd.model.signals import Joined, Released
from failoverd.plan import names
from failoverd.plan.join import join
from failoverd.plan.leftover import take_off
from failoverd.plan.release import release
from failoverd.plan.situation import Do, Finish, GiveUp, Keep, Look, Next, Rest, Wait, Write
from failoverd.plan.transfer import additions

ROUNDS = 16
"""The limit of planner answers in one step. More than one step can need without the kernel: beyond it, the plan is in a
loop.
"""


def advance(state: State, pair: PairState, now: float) -> tuple[list[Action], float | None]:
    """Take the pair as far as it goes without an answer. Returns the actions, and when to look again."""
    found = found_pair(state, pair, now)
    actions: list[Action] = []
    stands = stand(state, pair, found)
    update_timers(state, pair, found, stands, now)
    wake = switch(state, pair, found, stands, actions, now)
    if actions or pair.work.is_busy:
        return actions, wake
    if now < pair.work.pause_until:
        return actions, _sooner(wake, pair.work.pause_until)
    if off := _take_off(state, pair, found, now):
        return off, wake
    if not is_wanted(state, pair, found, now):
        said = "released" if pair.held else "degraded" if pair.move.undo_reason else "alone"
        pair.told(said, pair.move.undo_reason or lost_text(pair.move.lost, state.name(found.nic)))
        return actions, _sooner(wake, _next_retry(pair, now))
    if until := _configurer_deadline(state, pair, found, actions, now):
        pair.told("joining", f"what configures {state.name(found.nic)} is not known yet")
        return actions, _sooner(wake, until)
    found = found_pair(state, pair, now)
    pair.move.journal_before, pair.move.lost_before = pair.move.journal, pair.move.lost
    for _ in range(ROUNDS):
        goal = pair.goal(now)
        step = (join if goal is Goal.JOINED else release)(situation(state, pair, found, now))
        done, again = _carry_out(state, pair, found, goal, step, actions, now)
        wake = _sooner(wake, again)
        if done:
            if isinstance(step, Rest) and goal is Goal.JOINED and pair.joined:
                _care(state, pair, found, actions, now)
                wake = _sooner(wake, pair.names.quiet_at if now < pair.names.quiet_at else None)
                wake = _sooner(wake, next_look(pair, now))
            elif isinstance(step, Wait):
                # What is waited for may never come, and until then the slaves carry.
                actions += lift(state, pair, found, now)
            break
    else:
        actions.append(Say("error", f"{pair.mac}: the plan goes in circles; please report this with the log"))
    return actions, _sooner(wake, _next_retry(pair, now))


def _care(state: State, pair: PairState, found: Pair, actions: list[Action], now: float) -> None:
    """Look after names, orders and other programs' changes to slaves, while the plan rests."""
    while not pair.work.is_sent and (said := wish(state, pair, found, now) or rename(state, pair, found)):
        actions += said
    if not pair.work.is_sent:
        actions += undo(state, pair, found, now)
    if not pair.work.is_sent:
        actions += look(state, pair, found, now)


def _take_off(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Clean the NICs of this MAC that are in no pair, before anything else."""
    left = [state.links[ifindex] for ifindex in state.judgements.leftovers.get(pair.mac, ())]
    step = take_off(situation(state, pair, found, now), left) if left and pair.move.journal is None else None
    if step is None:
        return []
    return [pair.work.send(Part.MOVE, step.requests, step.why)]


def _configurer_deadline(state: State, pair: PairState, found: Pair, actions: list[Action], now: float) -> float | None:
    """Return until when to wait for the answer about the configuration of a NIC not joined yet; None for no wait."""
    nic = state.link(found.nic)
    if nic is None or found.master or pair.goal(now) is not Goal.JOINED:
        return None
    seen = situation(state, pair, found, now)
    if nic.ifindex not in seen.ready:
        return None
    return awaited(state, pair, nic, names.master_name(seen, nic), actions, now)


def _carry_out(
    state: State, pair: PairState, found: Pair, goal: Goal, step: Next, actions: list[Action], now: float
) -> tuple[bool, float | None]:
    """Turn the planner's answer into actions. True: the kernel's answer, an event or the time has to come first."""
    pair.told("joining" if goal is Goal.JOINED else "releasing", getattr(step, "why", ""))
    match step:
        case Do(requests, why):
            sent = pair.work.send(Part.MOVE, requests, why)
            actions += [sent, *entering(state, pair, found, requests)]
        case Look(ifindexes, closely):
            pair.work.look()
            master = state.link(found.master)
            if goal is Goal.RELEASED and master is not None and not master.up:
                # Of a device that is down the kernel does not tell new alternative names (net/core/dev.c,
                # netdev_state_change), and this one is about to be deleted.
                actions.append(Peek(master.ifindex))
            actions.append(FetchInet(pair.work.owner, ifindexes, closely))
        case Write(journal):
            pair.move.journal = journal
            actions += [SaveJournal(journal), *(_keep(pair, Inet()) if journal.cut else [])]
            return False, None
        case Finish(lost):
            actions += [*_keep(pair, lost), DropJournal(pair.mac), *_lost(pair)]
            # If the leftovers cannot be kept on disk, the journal is kept, and holds.
            pair.move.journal, pair.move.journal_before = None, pair.move.journal_before if lost != Inet() else None
            _let_be(state, pair)
            pair.work.keep(additions(lost), now + SELDOM)
            return False, None
        case Keep(lost):
            actions += _keep(pair, lost)
            pair.work.forgive_the_done()
            return False, None
        case Wait(_, until):
            return True, until if until is not None else udev_deadline(state, found, now)
        case GiveUp():
            return _give_up(state, pair, found, step, actions, now)
        case _:
            _at_rest(state, pair, found, goal, actions)
            return True, step.until
    return True, None


def _keep(pair: PairState, lost: Inet) -> list[Action]:
    """Keep this as the lost configuration, on disk as well."""
    if pair.move.lost == lost:
        return []
    pair.move.lost = lost
    return [KeepLost(pair.mac, lost)]


def _let_be(state: State, pair: PairState) -> None:
    """Stop keeping the NIC for this pair. It may be in another one, if its permanent MAC is another one by now."""
    nic = state.link(pair.nic)
    if nic is not None and nic.perm_mac != pair.mac:
        rejudge(state, {pair.mac, nic.perm_mac})


def _give_up(
    state: State, pair: PairState, found: Pair, step: GiveUp, actions: list[Action], now: float
) -> tuple[bool, float | None]:
    """Undo what was begun. If the NIC cannot be a slave, another datapath may be chosen for the pair."""
    pair.move.undo_until = now + (SELDOM if step.unbondable else state.config.join.retry_max)
    pair.move.undo_reason = step.why
    # It is tried again as long as the reason lasts; the log has it once.
    actions += [Say("error", f"{pair.mac}: {step.why}")] if step.why != pair.move.logged_reason else []
    pair.move.logged_reason = step.why
    if not step.unbondable:
        return False, None
    pair.obstacles.refuse(found.nic, step.obstacle or step.why)
    rejudge(state, {pair.mac})
    # The pair may be another one by now: judge it anew.
    return True, now


def _lost(pair: PairState) -> list[Action]:
    """Name in full the configuration that the kernel would not take back: it is gone from the machine."""
    return [
        Say("error", f"{pair.mac}: given up after {refusal.times} tries: {refusal.text}")
        for request, refusal in pair.work.refusals.items()
        if pair.work.is_hopeless(request) and not isinstance(request, SetMaster | SetActive)
    ]


def _at_rest(state: State, pair: PairState, found: Pair, goal: Goal, actions: list[Action]) -> None:
    if goal is Goal.RELEASED:
        said, why = ("released", "") if pair.held else ("degraded", pair.move.undo_reason)
        pair.told(said, "; ".join(filter(None, (why, lost_text(pair.move.lost, state.name(found.nic))))))
        pair.names.released()
        if pair.joined:
            pair.parts()
            _let_be(state, pair)
            pair.guard.released()
            actions += settle_signal(pair, "")
            # A third NIC of this MAC may have ended the pair.
            nic = found.nic or pair.nic
            actions.append(Emit(Released(state.name(nic), pair.mac, nic)))
        return
    master = state.link(found.master)
    if master is None:
        pair.told("alone", pair.reason)
        return
    if not pair.joined:
        pair.joins()
        pair.move.logged_reason = ""
        if pair.datapath.is_remembered(found):
            actions += state.memory.join(pair.mac)
        active = state.active(found)
        role = role_of(found, active)
        actions += settle_signal(pair, "")
        actions.append(Emit(Joined(master.name, pair.mac, found.master, state.name(active), active, role)))
    slaves = (state.link(ifindex) for ifindex in (found.nic, found.vf) if ifindex != found.master)
    held = {link.ifindex for link in slaves if link is not None and pair.datapath.holds(link, master)}
    pair.guard.rests(held)
    pair.nic = found.nic or pair.nic
    actions += remember_name(state, pair, found, master)
    pair.told(*settled_state(state, pair, found, master))


def _next_retry(pair: PairState, now: float) -> float | None:
    return _sooner(pair.work.next_retry(now), pair.move.undo_until)


def _sooner(first: float | None, second: float | None) -> float | None:
    return min((at for at in (first, second) if at is not None), default=None)
