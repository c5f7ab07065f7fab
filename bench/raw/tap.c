/*
 * Notes when netlink messages leave and reach a process, on one clock for all processes.
 *
 * LD_PRELOAD=tap.so FAILOVERD_TAP=FILE command: send, sendto, sendmsg, recv, recvfrom and recvmsg on AF_NETLINK sockets
 * of the process write a record for each message into FILE, which all processes map. A message is sent at the moment
 * the call begins, as the kernel works on it within the call; it is received at the moment the call returns. The same
 * code taps failoverd, the C loop and ip(8), so its own cost (well below a microsecond) is on all sides.
 *
 * FILE begins with a counter of records (64 bits), and is as long as the records that fit. `tap.py` reads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct record {
	uint64_t nanoseconds;	/* CLOCK_MONOTONIC */
	uint32_t pid;
	uint16_t is_received;
	uint16_t type;		/* nlmsg_type */
	int32_t ifindex;	/* of messages about links and traffic control, else 0 */
	uint32_t flags;		/* ifi_flags of messages about links, else 0 */
};

struct ring {
	uint64_t used;
	struct record records[];
};

static struct ring *ring;
static uint64_t room;

__attribute__((constructor)) static void open_ring(void)
{
	const char *path = getenv("FAILOVERD_TAP");
	struct stat about;
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *found;

	if (fd < 0 || fstat(fd, &about) || about.st_size < (off_t)sizeof(*ring))
		return;
	found = mmap(NULL, about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (found == MAP_FAILED)
		return;
	ring = found;
	room = (about.st_size - sizeof(*ring)) / sizeof(struct record);
}

static int is_netlink(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_NETLINK;
}

static uint64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static void note(int is_received, uint64_t at, const void *data, long size)
{
	const struct nlmsghdr *message = data;
	long left = size;

	for (; left >= (long)sizeof(*message) && NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		struct record made = { at, getpid(), is_received, message->nlmsg_type, 0, 0 };
		uint64_t place = __atomic_fetch_add(&ring->used, 1, __ATOMIC_RELAXED);

		if (place >= room)
			return;
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct tcmsg))) {
			/* ifinfomsg and tcmsg have the index at one place */
			const struct ifinfomsg *about = NLMSG_DATA(message);

			made.ifindex = about->ifi_index;
			if (message->nlmsg_type == RTM_NEWLINK)
				made.flags = about->ifi_flags;
		}
		ring->records[place] = made;
	}
}

#define REAL(name) ((typeof(&name))({ \
	static void *real; \
	if (!real) \
		real = dlsym(RTLD_NEXT, #name); \
	real; }))

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	if (ring && is_netlink(fd))
		note(0, now(), data, size);
	return REAL(send)(fd, data, size, flags);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	if (ring && is_netlink(fd))
		note(0, now(), data, size);
	return REAL(sendto)(fd, data, size, flags, to, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (ring && message->msg_iovlen && is_netlink(fd))
		note(0, now(), message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
	return REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	ssize_t got = REAL(recv)(fd, data, size, flags);

	if (got > 0 && ring && !(flags & MSG_PEEK) && is_netlink(fd))
		note(1, now(), data, (size_t)got < size ? (size_t)got : size);
	return got;
}

ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
	ssize_t got = REAL(recvfrom)(fd, data, size, flags, from, length);

	if (got > 0 && ring && !(flags & MSG_PEEK) && is_netlink(fd))
		note(1, now(), data, (size_t)got < size ? (size_t)got : size);
	return got;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t got = REAL(recvmsg)(fd, message, flags);

	if (got > 0 && ring && !(flags & MSG_PEEK) && message->msg_iovlen && is_netlink(fd)) {
		size_t size = message->msg_iov[0].iov_len;

		note(1, now(), message->msg_iov[0].iov_base, (size_t)got < size ? (size_t)got : size);
	}
	return got;
}
