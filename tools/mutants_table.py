"""The bugs that tools/mutants.py seeds: a text of a file, and what stands there instead."""

from __future__ import annotations

from dataclasses import dataclass

POLICY, CORE, PLAN, DATAPATHS = "failoverd/policy", "failoverd/core", "failoverd/plan", "failoverd/datapaths"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` is in the file exactly once. `what` says in words what is wrong with the result."""

    name: str
    file: str
    old: str
    new: str
    what: str


MUTANTS = (
    Mutant(
        "elect-without-carrier", f"{POLICY}/election.py",
        "    if not slave.carrier:\n", "    if not slave.carrier and not slave.up:\n",
        "a slave without carrier is elected",
    ),
    Mutant(
        "elect-no-standby", f"{POLICY}/election.py",
        "    if standby is not None and not standing.bad_standby:\n",
        "    if standby is not None and not standing.bad_standby and not bad_primary:\n",
        "the standby never takes over",
    ),
    Mutant(
        "elect-never-back", f"{POLICY}/election.py",
        "    if now < steady_at:\n", "    if now <= steady_at + 1e9:\n",
        "the VF is held down for ever",
    ),
    Mutant(
        "elect-what-is-not-enslaved", f"{POLICY}/election.py",
        "    if not joined:\n        return \"it is not enslaved\"\n", "",
        "a NIC that is no slave counts as fit",
    ),
    Mutant(
        "pair-any-two-vfs", f"{POLICY}/one_mac.py",
        "    return held[0] if len(held) == 1 else None\n", "    return held[0] if held else candidates[0]\n",
        "of several NICs of one MAC the first is taken",
    ),
    Mutant(
        "pair-what-is-held", f"{POLICY}/pairing.py",
        "        unheld = [link for link in group if not held[link.ifindex]]\n",
        "        unheld = list(group)\n",
        "a NIC in another program's master is paired",
    ),
    Mutant(
        "stale-marks", f"{POLICY}/wanted.py",
        "    others = own_altnames(link)\n", "    others = tuple(link.altnames)\n",
        "a mark that ends as a pattern does is a stale name",
    ),
    Mutant(
        "names-are-taken", f"{POLICY}/wanted.py",
        "    return invalid_name_reason(name) if found is None else f\"it is a name of {found.name}\"\n",
        "    return invalid_name_reason(name)\n",
        "a name that another device has is asked for",
    ),
    Mutant(
        "a-mark-of-another", f"{POLICY}/naming.py",
        "    return f\"failoverd-{role}-{nic.ifindex}\"\n", "    return f\"failoverd-{role}\"\n",
        "two NICs cannot bear the same mark",
    ),
    Mutant(
        "new-although-used", f"{PLAN}/situation.py",
        "        return self.nic is not None or (master.name == passing_name(self.mac) and not master.up)\n",
        "        return True\n",
        "a used master without mark and slaves is taken for a new one",
    ),
    Mutant(
        "slave-keeps-addresses", f"{PLAN}/enslave.py",
        "*transfer.drop_all(seen), ", "",
        "what a NIC had of its own stays on it as a slave",
    ),
    Mutant(
        "handover-forgets-the-vf", f"{PLAN}/handover.py",
        "    wanted = transfer.to_device(inet_sets.union(journal.inet, journal.extra), master.ifindex)\n",
        "    wanted = transfer.to_device(journal.inet, master.ifindex)\n",
        "the VF's own addresses are forgotten for a moment, and put right by the last look",
    ),
    Mutant(
        "check-forgets-the-vf", f"{PLAN}/handover.py",
        "    whole = inet_sets.union(journal.inet, journal.extra)\n", "    whole = journal.inet\n",
        "what the VF had of its own and the kernel refused once is lost",
    ),
    Mutant(
        "handover-leaves-the-nics", f"{PLAN}/handover.py",
        "    left = [*tagged.configuration, *transfer.drop_all(s.seen(nic))]\n",
        "    left = [*tagged.configuration, *transfer.drop_all(s.seen(None))]\n",
        "the NIC keeps the addresses that the master has",
    ),
    Mutant(
        "no-routes-are-moved", f"{PLAN}/transfer.py",
        "    routes: list[Request] = [AddRoute(r) for r in wanted.routes if route_key(r) not in known]\n",
        "    routes: list[Request] = []\n",
        "a join loses every route",
    ),
    Mutant(
        "routes-in-any-order", f"{PLAN}/transfer.py",
        "    return has_gateway(route), -route.dst_len\n", "    return not has_gateway(route), route.dst_len\n",
        "a gateway is set before the route to it",
    ),
    Mutant(
        "six-are-not-moved", f"{PLAN}/transfer.py",
        "[AddAddress(a) for a in missing_addresses(wanted, there) if not is_link_local(a)]",
        "[AddAddress(a) for a in missing_addresses(wanted, there) if a.family != AF_INET6]",
        "a join loses the IPv6 addresses",
    ),
    Mutant(
        "join-sets-no-master-up", f"{PLAN}/handover.py",
        "    up: list[Request] = [SetUp(master.ifindex, up=True)] if journal.up and not is_up else []\n",
        "    up: list[Request] = []\n",
        "the master stays down",
    ),
    Mutant(
        "join-is-over-at-once", f"{PLAN}/join.py",
        "    step = enslave(s, s.nic) or enslave(s, s.vf) or regain(s, s.master)\n",
        "    step = enslave(s, s.nic) or regain(s, s.master)\n",
        "a VF that comes after the join is not taken in",
    ),
    Mutant(
        "release-looks-at-the-master-only", f"{PLAN}/release.py",
        "    if not inet_sets.is_in(there, journal.inet) or not vlans.is_known(journal.vlans, tagged):\n",
        "    if False:\n",
        "what came to the master after the journal was written is lost in a release",
    ),
    Mutant(
        "release-sets-no-nic-up", f"{PLAN}/release.py",
        "    requests += [SetUp(nic.ifindex, up=True)] if journal.up else []\n    return requests + transfer",
        "    return requests + transfer",
        "a released NIC stays down until the last look",
    ),
    Mutant(
        "release-forgets-the-rest", f"{PLAN}/release.py",
        "    step = step or s.rest([*rename, *_missing(s, nic, journal)], f\"put the rest on {nic.name}\")\n",
        "",
        "what one datagram of a release could not do is never done",
    ),
    Mutant(
        "release-in-a-wait", f"{PLAN}/release.py",
        "    return enslave(s, s.nic) or enslave(s, s.vf) or Wait(why)\n", "    return Wait(why)\n",
        "no slave carries while a release waits",
    ),
    Mutant(
        "bond-without-fail-over-mac", f"{DATAPATHS}/bond.py",
        "            fail_over_mac=FOLLOW_ACTIVE,\n", "",
        "the bond writes its slaves' MACs",
    ),
    Mutant(
        "bond-enslaves-what-is-up", f"{DATAPATHS}/bond.py",
        "down: list[Request] = [SetUp(slave.ifindex, up=False)] if slave.up else []\n        return [*down, SetMaster",
        "down: list[Request] = []\n        return [*down, SetMaster",
        "a NIC that is up is enslaved, which the kernel refuses",
    ),
    Mutant(
        "bond-switches-to-the-other", f"{DATAPATHS}/bond.py",
        "        return [SetActive(master.ifindex, slave)]\n", "        return [SetActive(master.ifindex, 0)]\n",
        "a switch leaves the choice to the kernel",
    ),
    Mutant(
        "tc-leaves-the-egress", f"{DATAPATHS}/tc.py",
        "        return away if slave == master.ifindex else", "        return [] if slave == master.ifindex else",
        "the way to a VF that is lost is not taken back",
    ),
    Mutant(
        "tc-without-a-slot", f"{DATAPATHS}/redirect.py",
        "    if link.tc.slot:\n        return []\n", "    if link.tc.slot != \"clsact\":\n        return []\n",
        "a qdisc is put where there is one, and none where there is none",
    ),
    Mutant(
        "tc-cleans-half", f"{DATAPATHS}/redirect.py",
        "    requests = [*drop(link, \"egress\"), *drop(link, \"ingress\")]\n",
        "    requests = [*drop(link, \"egress\")]\n",
        "a release leaves the VF's filter",
    ),
    Mutant(
        "tc-believes-a-gone-device", f"{DATAPATHS}/tc.py",
        "        return active not in (pair.nic, pair.vf)\n", "        return False\n",
        "a filter that leads nowhere stays",
    ),
    Mutant(
        "tc-conflicts-do-not-count", f"{DATAPATHS}/tc.py",
        "        if slave.mac != master.mac:\n", "        if False:\n",
        "a VF with another MAC carries what the network does not answer",
    ),
    Mutant(
        "retry-without-a-wait", f"{CORE}/work.py",
        "        return min(shortest * longer, retry if", "        return min(0.0 * longer, retry if",
        "what is refused is asked for again at once, for ever",
    ),
    Mutant(
        "refusals-never-end", f"{CORE}/work.py",
        "        return any(now < self.refusals[request].until for request in requests if request in self.refusals)\n",
        "        return any(request in self.refusals for request in requests)\n",
        "what was refused once is never tried again",
    ),
    Mutant(
        "lost-answers-block", f"{CORE}/work.py",
        "        self.unsure, self.doubtful = False, ()\n", "        self.doubtful = ()\n",
        "after lost answers nothing is done for the pair any more",
    ),
    Mutant(
        "drain-is-forgotten", f"{CORE}/orders.py",
        "    return DRAINED if pair.orders.drain is not None else \"\"\n", "    return \"\"\n",
        "a drained VF carries",
    ),
    Mutant(
        "guard-sets-nothing-up", f"{CORE}/slave_repairs.py",
        "        pair.guard.lifted(ifindex)\n        if not pair.work",
        "        continue\n        if not pair.work",
        "a slave that is set down stays so",
    ),
    Mutant(
        "guard-takes-nothing-off", f"{CORE}/slave_repairs.py",
        "    return undone or _let_go(state, pair, found, now)\n",
        "    return undone\n",
        "a slave whose permanent MAC is another pair's is kept",
    ),
    Mutant(
        "signals-of-what-was-asked", f"{CORE}/failovers.py",
        "    if master is None or was is None or pair.failovers.active is None or was == pair.failovers.active:\n",
        "    if master is None or was is None or not pair.failovers.active or was == pair.failovers.active:\n",
        "no signal says that no slave carries, and the next failover is told from the wrong one",
    ),
    Mutant(
        "joined-is-never-told", f"{CORE}/advance.py",
        "        actions.append(Emit(Joined(master.name, pair.mac, found.master, state.name(active), active, role)))\n",
        "",
        "no pair is ever told as joined",
    ),
    Mutant(
        "a-gone-device-is-remembered", f"{CORE}/world.py",
        "            one.forget(ifindex)\n", "            pass\n",
        "what was refused for a device is not void when it goes",
    ),
    Mutant(
        "a-dump-adds-only", f"{CORE}/world.py",
        "    for ifindex in set(state.links) - {link.ifindex for link in links}:\n",
        "    for ifindex in ():\n",
        "what vanished while messages were lost is still there",
    ),
    Mutant(
        "the-journal-is-not-dropped", f"{CORE}/advance.py",
        "            actions += [*_keep(pair, lost), DropJournal(pair.mac), *_lost(pair)]\n",
        "            actions += [*_keep(pair, lost), *_lost(pair)]\n",
        "the next start finishes a move that is over",
    ),
    Mutant(
        "the-journal-is-not-written", f"{CORE}/advance.py",
        "            actions += [SaveJournal(journal), *(_keep(pair, Inet()) if journal.cut else [])]\n",
        "            actions += [*(_keep(pair, Inet()) if journal.cut else [])]\n",
        "what a move has under way is lost with the daemon",
    ),
)  # fmt: skip
