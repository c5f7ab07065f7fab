/*
 * The least that can do failoverd's work for one pair, on raw netlink structs: what failoverd is measured beside.
 *
 *     loop MAC NIC            join a VF of this MAC that appears to the NIC with this ifindex; switch by its carrier
 *     loop MAC NIC SCRIPT     run sh SCRIPT add|lost|back VF instead, and wait for it, as udevd does with RUN
 *
 * It asks of the kernel what failoverd asks with datapath = "tc": a mark, a clsact for each, all multicast, a filter on
 * the VF's ingress, up; and then one filter on the NIC's egress while the VF carries. It has one socket, no state but
 * the VF's, and looks at nothing: no other program's filters, no refusals, no restart, no overrun. Of udevd it leaves
 * out everything but the fork, so a real RUN script is later than this.
 */
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ETH_P_EVERY 0x0003
#define PREFERENCE 64023
#define INGRESS 0xFFFFFFF2u
#define EGRESS 0xFFFFFFF3u

static char out[4096], in[1 << 16];
static size_t used;
static struct nlmsghdr *current;
static int sock, nic, vf, carries;
static unsigned int sequence;

static void put(const void *data, size_t size)
{
	memcpy(out + used, data, size);
	memset(out + used + size, 0, NLMSG_ALIGN(size) - size);
	used += NLMSG_ALIGN(size);
}

static void begin(int type, int flags)
{
	struct nlmsghdr head = { .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags };

	head.nlmsg_seq = ++sequence;
	current = (struct nlmsghdr *)(out + used);
	put(&head, sizeof(head));
}

static void end(void)
{
	current->nlmsg_len = out + used - (char *)current;
}

static struct rtattr *open_attribute(int type)
{
	struct rtattr head = { .rta_type = type };
	struct rtattr *made = (struct rtattr *)(out + used);

	put(&head, sizeof(head));
	return made;
}

static void close_attribute(struct rtattr *made)
{
	made->rta_len = out + used - (char *)made;
}

static void attribute(int type, const void *data, size_t size)
{
	struct rtattr *made = open_attribute(type);

	put(data, size);
	made->rta_len = RTA_LENGTH(size);
}

static void tell(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (sendto(sock, out, used, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		perror("loop: sendto");
	used = 0;
}

static void mark(int ifindex)
{
	struct ifinfomsg about = { .ifi_index = ifindex };
	struct rtattr *list;
	char name[32];

	begin(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND);
	put(&about, sizeof(about));
	list = open_attribute(IFLA_PROP_LIST | NLA_F_NESTED);
	attribute(IFLA_ALT_IFNAME, name, snprintf(name, sizeof(name), "loop-vf-%d", ifindex) + 1);
	close_attribute(list);
	end();
}

static void flags(int ifindex, unsigned int flag)
{
	struct ifinfomsg about = { .ifi_index = ifindex, .ifi_flags = flag, .ifi_change = flag };

	begin(RTM_SETLINK, 0);
	put(&about, sizeof(about));
	end();
}

static void clsact(int ifindex)
{
	struct tcmsg about = { .tcm_ifindex = ifindex, .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0), .tcm_parent = TC_H_CLSACT };

	begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
	put(&about, sizeof(about));
	attribute(TCA_KIND, "clsact", sizeof("clsact"));
	end();
}

static void redirect(int from, unsigned int hook, int to)
{
	struct tcmsg about = { .tcm_ifindex = from, .tcm_handle = 1, .tcm_parent = hook };
	struct {
		struct tc_u32_sel selection;
		struct tc_u32_key key;
	} all = { .selection = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	struct tc_mirred way = { .action = TC_ACT_STOLEN, .ifindex = to };
	struct rtattr *options, *actions, *action, *parameters;

	about.tcm_info = TC_H_MAKE(PREFERENCE << 16, htons(ETH_P_EVERY));
	way.eaction = hook == EGRESS ? TCA_EGRESS_REDIR : TCA_INGRESS_REDIR;
	begin(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
	put(&about, sizeof(about));
	attribute(TCA_KIND, "u32", sizeof("u32"));
	options = open_attribute(TCA_OPTIONS);
	attribute(TCA_U32_SEL, &all, sizeof(all));
	actions = open_attribute(TCA_U32_ACT);
	action = open_attribute(1);
	attribute(TCA_ACT_KIND, "mirred", sizeof("mirred"));
	parameters = open_attribute(TCA_ACT_OPTIONS);
	attribute(TCA_MIRRED_PARMS, &way, sizeof(way));
	close_attribute(parameters);
	close_attribute(action);
	close_attribute(actions);
	close_attribute(options);
	end();
}

static void no_redirect(int from, unsigned int hook)
{
	struct tcmsg about = { .tcm_ifindex = from, .tcm_parent = hook };

	about.tcm_info = TC_H_MAKE(PREFERENCE << 16, htons(ETH_P_EVERY));
	begin(RTM_DELTFILTER, 0);
	put(&about, sizeof(about));
	attribute(TCA_KIND, "u32", sizeof("u32"));
	end();
}

static void run(const char *script, const char *what, const char *name)
{
	pid_t child = fork();

	if (!child) {
		execl("/bin/sh", "sh", script, what, name, (char *)NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void join(int ifindex)
{
	mark(ifindex);
	clsact(nic);
	clsact(ifindex);
	flags(ifindex, IFF_ALLMULTI);
	redirect(ifindex, INGRESS, nic);
	flags(ifindex, IFF_UP);
	tell();
}

static void switch_by(int carrier)
{
	if (carrier)
		redirect(nic, EGRESS, vf);
	else
		no_redirect(nic, EGRESS);
	tell();
}

static void link_seen(const struct nlmsghdr *message, const unsigned char *mac, const char *script)
{
	const struct ifinfomsg *about = NLMSG_DATA(message);
	int carrier = !!(about->ifi_flags & IFF_LOWER_UP), left = IFLA_PAYLOAD(message), is_ours = 0;
	const struct rtattr *found = IFLA_RTA(about);
	const char *name = "";

	if (about->ifi_family != AF_UNSPEC || about->ifi_index == nic)
		return;
	for (; RTA_OK(found, left); found = RTA_NEXT(found, left)) {
		if (found->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(found) == 6)
			is_ours = !memcmp(RTA_DATA(found), mac, 6);
		if (found->rta_type == IFLA_IFNAME)
			name = RTA_DATA(found);
	}
	if (!is_ours)
		return;
	if (about->ifi_index != vf) {
		vf = about->ifi_index;
		carries = 0;
		if (script)
			run(script, "add", name);
		else
			join(vf);
	}
	if (carrier == carries)
		return;
	carries = carrier;
	if (script)
		run(script, carrier ? "back" : "lost", name);
	else
		switch_by(carrier);
}

static void link_gone(const struct nlmsghdr *message)
{
	const struct ifinfomsg *about = NLMSG_DATA(message);

	if (about->ifi_family != AF_UNSPEC || about->ifi_index != vf)
		return;
	if (carries)
		switch_by(0);
	vf = carries = 0;
}

int main(int count, char **words)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	const char *script = count > 3 ? words[3] : NULL;
	unsigned char mac[6];

	if (count < 3 || sscanf(words[1], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) {
		fprintf(stderr, "usage: loop MAC NIC [SCRIPT]\n");
		return 2;
	}
	nic = atoi(words[2]);
	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (sock < 0 || bind(sock, (struct sockaddr *)&group, sizeof(group))) {
		perror("loop: netlink");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		int left = recv(sock, in, sizeof(in), 0);
		struct nlmsghdr *message = (struct nlmsghdr *)in;

		if (left < 0 && errno != EINTR && errno != ENOBUFS) {
			perror("loop: recv");
			return 1;
		}
		for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == RTM_NEWLINK)
				link_seen(message, mac, script);
			else if (message->nlmsg_type == RTM_DELLINK)
				link_gone(message);
		}
	}
}
