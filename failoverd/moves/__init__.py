"""A failover master moves into another network namespace and back, with all that stands on it.

The kernel moves no bond (net/core/dev.c, NETIF_F_NETNS_LOCAL). So a clone is made in the other namespace, with all of
the configuration; the NICs are handed over, first one that does not carry; and the old master is deleted when the clone
stands. FreeBSD moves the interfaces of its VNETs in the same way.

    survey.py  what moves how, and what keeps it from moving: before anything is touched
    items.py   what is to stand in the end, as nouns: that is the journal of a move, too
    plan.py    from the journal and two namespaces as they are to the next step; it remembers nothing
    clones.py  the requests that make clones and configure them

The plan knows no way back of its own: the way back is the same plan with the other namespace as its goal.
"""
