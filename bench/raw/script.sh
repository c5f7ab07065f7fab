#!/bin/sh
# What a udev rule's RUN would do for one pair: script.sh add|lost|back VF. The same changes as loop.c, by ip(8) and tc(8).
nic=ens3
case $1 in
add)
	ip link property add dev "$2" altname "script-vf-$$"
	tc qdisc add dev "$nic" clsact 2>/dev/null
	tc qdisc add dev "$2" clsact
	ip link set dev "$2" allmulticast on
	tc filter add dev "$2" ingress prio 64023 u32 match u32 0 0 action mirred ingress redirect dev "$nic"
	ip link set dev "$2" up
	;;
lost) tc filter del dev "$nic" egress prio 64023 ;;
back) tc filter add dev "$nic" egress prio 64023 u32 match u32 0 0 action mirred egress redirect dev "$2" ;;
esac
