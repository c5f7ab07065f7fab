"""One pair, one step further: ask the planner, and when it rests, the election.

Nothing is sent for a pair while an answer is outstanding for it, or while answers were lost and the devices not seen
since. Except a switch of the active slave: that one is why the daemon exists, and it is right whatever the planner is
waiting for. A step that switches does nothing else for the pair, so that it is over sooner; the answer brings us back.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.core.orders import rename
from failoverd.core.state import HOPELESS, PairState, State
from failoverd.core.strays import is_undoing, undo
from failoverd.core.switch import stand, switch, take_time, why_not_here
from failoverd.core.wishes import wish
from failoverd.core.words import devices
from failoverd.core.world import role_of
from failoverd.model.actions import Action, DropJournal, Emit, FetchInet, Remember, SaveJournal, Say, Send
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Pair
from failoverd.model.requests import Request, SetActive, SetMaster
from failoverd.model.signals import Joined, Released
from failoverd.plan.join import join
from failoverd.plan.release import release
from failoverd.plan.situation import Do, Finish, GiveUp, Look, Next, Rest, Situation, Wait, Write
from failoverd.policy.naming import formers

ROUNDS = 16
"""More answers of the planner than one step can need before the kernel has to be asked: then it goes in circles."""
NAMING = 5
"""Times `udev_wait` for which udev is waited for where the name it gives becomes the master's."""


def advance(state: State, pair: PairState, now: float) -> tuple[list[Action], float | None]:
    """Take the pair as far as it goes without an answer. Returns what to do, and when to look again."""
    found = _found(state, pair, now)
    actions: list[Action] = []
    stands = stand(state, pair, found)
    take_time(state, pair, found, stands, now)
    wake = switch(state, pair, found, stands, actions, now)
    if actions or pair.sent or pair.looking or pair.unsure:
        return actions, wake
    if now < pair.pause_until:
        return actions, _sooner(wake, pair.pause_until)
    if not _is_wanted(state, pair, found, now):
        pair.state = "released" if pair.held else "degraded" if pair.undo_reason else "alone"
        pair.reason = pair.undo_reason
        return actions, _sooner(wake, pair.undo_until)
    pair.journal_before = pair.journal
    for _ in range(ROUNDS):
        goal = pair.goal(now)
        step = (join if goal is Goal.JOINED else release)(_situation(state, pair, found, now))
        done, again = _carry_out(state, pair, found, goal, step, actions, now)
        wake = _sooner(wake, again)
        if done:
            if isinstance(step, Rest) and goal is Goal.JOINED and pair.joined:
                while not pair.sent and (said := wish(state, pair, found, now) or rename(state, pair, found)):
                    actions += said
                if not pair.sent:
                    actions += undo(state, pair, found, now)
                wake = _sooner(wake, pair.quiet_at if now < pair.quiet_at else None)
            break
    else:
        actions.append(Say("error", f"{pair.mac}: the plan goes in circles; please report this with the log"))
    return actions, _sooner(wake, _next_retry(pair, now))


def _found(state: State, pair: PairState, now: float) -> Pair:
    """The pair as judged. What has begun is finished also where the NIC would not be paired any more."""
    found = state.judgements.pairs.get(pair.mac, Pair(pair.mac))
    journal, spare = pair.journal, state.judgements.spare.get(pair.mac, 0)
    if not spare or found.nic or journal is None:
        return found
    return replace(found, nic=spare) if journal.cut or pair.goal(now) is Goal.RELEASED else found


def _is_wanted(state: State, pair: PairState, found: Pair, now: float) -> bool:
    """Whether there is anything to do: a master to keep, a move to finish, or a pair to be made."""
    if found.master or (pair.journal is not None and pair.journal.cut):
        return True
    if pair.goal(now) is Goal.RELEASED:
        is_owed = any(formers(state.links[i]) for i in (found.nic, found.vf) if i)
        return pair.journal is not None or pair.joined or is_owed
    if found.nic and found.vf:
        return True
    create = state.config.master.create
    return bool(found.nic) and (create == "always" or (create == "remembered" and pair.mac in state.remembered))


def _situation(state: State, pair: PairState, found: Pair, now: float) -> Situation:
    blocked = {request: refusal.text for request, refusal in pair.refusals.items() if now < refusal.until}
    hopeless = {request for request, refusal in pair.refusals.items() if refusal.times >= HOPELESS}
    waited = {i for i, since in state.asked.items() if now >= since + _udev_wait(state, pair, found, i)}
    return Situation(
        pair.mac,
        pair.datapath,
        state.config,
        now,
        nic=state.link(found.nic),
        vf=state.link(found.vf),
        master=state.link(found.master),
        journal=pair.journal,
        inet=pair.inet,
        links=state.links,
        ready=frozenset(state.ready | waited),
        held_on=state.held_on,
        blocked=blocked,
        hopeless=frozenset(hopeless),
        vf_wait=pair.vf_wait,
        udev_names=state.udev_names,
        joined=pair.joined,
    )


def _carry_out(
    state: State, pair: PairState, found: Pair, goal: Goal, step: Next, actions: list[Action], now: float
) -> tuple[bool, float | None]:
    """Turn the planner's answer into actions. True: the kernel's answer, an event or the time has to come first."""
    pair.state = "joining" if goal is Goal.JOINED else "releasing"
    pair.reason = getattr(step, "why", "")
    match step:
        case Do(requests, why):
            pair.sent = requests
            actions.append(Send(pair.mac, requests, why))
        case Look(ifindexes):
            pair.looking = True
            actions.append(FetchInet(pair.mac, ifindexes))
        case Write(journal):
            pair.journal = journal
            actions.append(SaveJournal(journal))
            return False, None
        case Finish():
            pair.journal = pair.journal_before = None
            actions += [DropJournal(pair.mac), *_lost(pair)]
            pair.refusals.clear()
            return False, None
        case Wait(_, until):
            return True, until if until is not None else _udev_deadline(state, found, now)
        case GiveUp(why):
            pair.undo_until, pair.undo_reason = now + state.config.join.retry_max, why
            actions.append(Say("error", f"{pair.mac}: {why}"))
            return False, None
        case _:
            _at_rest(state, pair, found, goal, actions)
            return True, step.until
    return True, None


def _lost(pair: PairState) -> list[Action]:
    """Name what the kernel would not take back, in full: it is gone from the machine."""
    return [
        Say("error", f"{pair.mac}: given up after {refusal.times} tries: {refusal.text}")
        for request, refusal in pair.refusals.items()
        if refusal.times >= HOPELESS and not isinstance(request, SetMaster | SetActive)
    ]


def _at_rest(state: State, pair: PairState, found: Pair, goal: Goal, actions: list[Action]) -> None:
    if goal is Goal.RELEASED:
        pair.state, pair.reason = ("released", "") if pair.held else ("degraded", pair.undo_reason)
        pair.tried.clear()
        pair.named.clear()
        if pair.joined:
            pair.joined = False
            pair.slaves.clear()
            pair.taken.clear()
            actions.append(Emit(Released(state.name(found.nic), pair.mac, found.nic)))
        return
    master = state.link(found.master)
    if master is None:
        pair.state = "alone"
        return
    if not pair.joined:
        pair.joined = True
        if not pair.datapath.adopted:
            state.remembered.add(pair.mac)
            actions.append(Remember(pair.mac, "joined"))
        active = state.active(found)
        role = role_of(found, active)
        actions.append(Emit(Joined(master.name, pair.mac, found.master, state.name(active), active, role)))
    slaves = (state.link(ifindex) for ifindex in (found.nic, found.vf) if ifindex != found.master)
    held = {link.ifindex for link in slaves if link is not None and pair.datapath.holds(link, master)}
    pair.slaves = held | pair.taken.keys()
    pair.state, pair.reason = _settled_state(state, pair, found, master)


def _settled_state(state: State, pair: PairState, found: Pair, master: Link) -> tuple[str, str]:
    active = state.active(found)
    if flaws := pair.datapath.flaws(master, state.link(found.vf), state.link(found.nic)):
        return "degraded", flaws
    if not master.up:
        return "degraded", f"{master.name} is down"
    carrier = state.link(active)
    if carrier is None or (carrier is master and not master.carrier):
        return "degraded", "no slave can carry"
    if active == found.vf:
        lonely = _why_no_standby(state, pair, found, master)
        return ("degraded", lonely) if lonely else ("accelerated", "")
    return "on-standby", _refused(pair, found.vf) or pair.election


def _why_no_standby(state: State, pair: PairState, found: Pair, master: Link) -> str:
    """A VF that carries alone is one unplug away from silence."""
    nic = state.link(found.nic)
    if pair.datapath.adopted or (nic is not None and pair.datapath.holds(nic, master)):
        return ""
    why = _refused(pair, found.nic) if nic is not None else why_not_here(state, found)
    if nic is not None and not why and found.nic in state.held_on:
        why = f"who managed {nic.name} has not let go of it yet"
    return f"{master.name} has no standby: {why or 'the paravirtual NIC is not there'}"


def _refused(pair: PairState, ifindex: int) -> str:
    """What the kernel refused to do with this slave."""
    texts = (refusal.text for request, refusal in pair.refusals.items() if _is_about(request, ifindex))
    return next(texts, "")


def _is_about(request: Request, ifindex: int) -> bool:
    return ifindex in devices(request) and not is_undoing(request)


def _udev_wait(state: State, pair: PairState, found: Pair, ifindex: int) -> float:
    """How long udev may take, in seconds. What the paravirtual NIC is called when it is joined, the master is called as
    long as it is up on kernels before 6.2, and whoever configures the network waits for the name that udev gives."""
    is_naming = ifindex == found.nic and not pair.joined and not pair.datapath.adopted
    return state.config.join.udev_wait * (NAMING if is_naming else 1)


def _udev_deadline(state: State, found: Pair, now: float) -> float | None:
    pair = state.pairs[found.mac]
    asked = [i for i in (found.nic, found.vf) if i in state.asked]
    times = [state.asked[i] + _udev_wait(state, pair, found, i) for i in asked]
    return min((at for at in times if at > now), default=None)


def _next_retry(pair: PairState, now: float) -> float | None:
    times = [refusal.until for refusal in pair.refusals.values() if refusal.until > now]
    return _sooner(min(times, default=None), pair.undo_until)


def _sooner(first: float | None, second: float | None) -> float | None:
    return min((at for at in (first, second) if at is not None), default=None)
