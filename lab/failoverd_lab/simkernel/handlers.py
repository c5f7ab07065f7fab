"""The handler of each request type."""

from __future__ import annotations

from failoverd_lab.simkernel import addresses, filters, links, neighbours, nsidmsg, qdiscs, routes, rules
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.requests import Dumper, Handler

HANDLERS: dict[int, Handler] = {
    n.RTM_GETLINK: links.get,
    n.RTM_NEWLINK: links.new,
    n.RTM_SETLINK: links.set_,
    n.RTM_DELLINK: links.delete,
    n.RTM_NEWLINKPROP: links.properties,
    n.RTM_DELLINKPROP: links.properties,
    n.RTM_NEWNSID: nsidmsg.new,
    n.RTM_GETNSID: nsidmsg.get,
    n.RTM_NEWADDR: addresses.new,
    n.RTM_DELADDR: addresses.delete,
    n.RTM_NEWROUTE: routes.new,
    n.RTM_DELROUTE: routes.delete,
    n.RTM_NEWNEIGH: neighbours.new,
    n.RTM_NEWADDRLABEL: neighbours.new_label,
    n.RTM_NEWRULE: rules.new,
    n.RTM_DELRULE: rules.delete,
    n.RTM_GETQDISC: qdiscs.get,
    n.RTM_NEWQDISC: qdiscs.new,
    n.RTM_DELQDISC: qdiscs.delete,
    n.RTM_GETTFILTER: filters.get,
    n.RTM_NEWTFILTER: filters.new,
    n.RTM_DELTFILTER: filters.delete,
}
DUMPERS: dict[int, Dumper] = {
    n.RTM_GETLINK: links.dump,
    n.RTM_GETNSID: nsidmsg.dump,
    n.RTM_GETADDR: addresses.dump,
    n.RTM_GETROUTE: routes.dump,
    n.RTM_GETNEIGH: neighbours.dump,
    n.RTM_GETADDRLABEL: neighbours.dump_labels,
    n.RTM_GETRULE: rules.dump,
    n.RTM_GETQDISC: qdiscs.dump,
    n.RTM_GETTFILTER: filters.dump,
}
