"""The clsact qdisc and the filters that redirect (net/sched)."""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.model.links import Filter, Tc
from failoverd.model.requests import AddClsact, AddQdisc, AddRedirect, DropClsact, DropRedirect
from failoverd.plan.predict.machine import Machine, RefusedError

PREFERENCE, HANDLE = 64_023, 0x80000001
"""The priority of failoverd's filters, and the handle that the kernel gives them: the first key of a table."""


def add_clsact(machine: Machine, request: AddClsact) -> None:
    """qdisc_create() into the ingress slot."""
    tc = machine.link(request.ifindex).tc
    if tc.slot:
        raise RefusedError(errno.EEXIST)
    machine.put_tc(request.ifindex, replace(tc, slot="clsact"))


def add_qdisc(machine: Machine, request: AddQdisc) -> None:
    """qdisc_create() in the root's place."""
    tc = machine.link(request.ifindex).tc
    machine.put_tc(request.ifindex, replace(tc, root=request.qdisc.kind))


def drop_clsact(machine: Machine, request: DropClsact) -> None:
    """Remove the qdisc with all its filters, failoverd's or not."""
    tc = machine.link(request.ifindex).tc
    if tc.slot != "clsact":
        raise RefusedError(errno.EINVAL if tc.slot else errno.ENOENT)
    machine.put_tc(request.ifindex, replace(tc, slot="", filters=frozenset()))


def add_redirect(machine: Machine, request: AddRedirect) -> None:
    """The kernel checks the hook, the target device and the place, in this order."""
    tc = machine.link(request.ifindex).tc
    if tc.slot != "clsact" and (tc.slot, request.hook) != ("ingress", "ingress"):
        raise RefusedError(errno.EINVAL)
    machine.link(request.target)
    there = _at(tc, request.hook)
    if any(found.kind != "u32" for found in there):
        raise RefusedError(errno.EINVAL)
    if any(found.handle == HANDLE for found in there):
        raise RefusedError(errno.ENOSPC)
    made = Filter(request.hook, PREFERENCE, HANDLE, "u32", request.target, ours=True)
    machine.put_tc(request.ifindex, replace(tc, filters=tc.filters | {made}))


def drop_redirect(machine: Machine, request: DropRedirect) -> None:
    """Remove all filters at failoverd's place on this hook, or the one with this handle."""
    tc = machine.link(request.ifindex).tc
    gone = {found for found in _at(tc, request.hook) if request.handle in (0, found.handle)}
    if not gone:
        raise RefusedError(errno.ENOENT if tc.slot else errno.EINVAL)
    machine.put_tc(request.ifindex, replace(tc, filters=tc.filters - gone))


def _at(tc: Tc, hook: str) -> set[Filter]:
    return {found for found in tc.filters if (found.hook, found.pref) == (hook, PREFERENCE)}
