/* Starts many flows, most of which a full conntrack table or a spent NAT range will refuse, and counts its own errno.
 *
 *   flows [options] PROTOCOL ADDRESS [PORT]     PROTOCOL: tcp, udp, icmp, sctp, gre or a number; ADDRESS: IPv4 or IPv6
 *   flows listen ADDRESS LOW-HIGH               holds an unconnected UDP socket on each of these ports
 *
 * Starts when its standard input ends, sends, prints one JSON line, and with --hold keeps its sockets until it is
 * killed. TCP sends SYNs without waiting for an answer; icmp is an echo request, sctp an INIT. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "packets.h"

enum { MAX_ERRNO = 134, THREADS = 2 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static struct {
	uint64_t count, tick_ns, pause_ns;
	double seconds;
	unsigned source, sources; /* the first source port to bind to, and how many follow; 0: the kernel's choice */
	int cpu;		  /* -1: any */
	int protocol;
	bool one, hold, connected, reuse_port, together;
	const char *comm;
	const char *from; /* an address that need not be this machine's */
	union address to;
	socklen_t length;
} options = {.count = 1, .sources = 1, .cpu = -1};

static uint64_t sent;
static uint64_t errors[MAX_ERRNO];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "flows: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void tell(int error)
{
	sent++;
	errors[error < MAX_ERRNO ? error : MAX_ERRNO - 1]++;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void stay_on(int cpu)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof cpus, &cpus))
		fail("sched_setaffinity");
}

/* Clients with the same tick act at the same moment, each time from the same source port. */
static uint64_t next_tick(void)
{
	return now_ns() / options.tick_ns + 2;
}

static void await_tick(uint64_t tick)
{
	while (now_ns() < tick * options.tick_ns)
		continue;
}

static void parse_address(const char *text, union address *address, socklen_t *length, unsigned port)
{
	if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons((in_port_t)port);
		*length = sizeof address->v4;
	} else if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons((in_port_t)port);
		*length = sizeof address->v6;
	} else {
		errno = EINVAL;
		fail(text);
	}
}

static bool is_v6(void)
{
	return options.to.any.sa_family == AF_INET6;
}

static in_port_t port_be16(void)
{
	return is_v6() ? options.to.v6.sin6_port : options.to.v4.sin_port;
}

static bool is_raw(void)
{
	return options.protocol != IPPROTO_TCP && options.protocol != IPPROTO_UDP;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof value))
		fail("setsockopt");
}

/* False where a socket that is held has the port: the ticks have gone once around since. */
static bool bind_source(int fd, unsigned port)
{
	union address from = {.any.sa_family = options.to.any.sa_family};
	socklen_t length = options.length;
	if (options.from) {
		parse_address(options.from, &from, &length, port);
		set(fd, is_v6() ? SOL_IPV6 : SOL_IP, is_v6() ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1);
	} else if (is_v6()) {
		set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
		from.v6.sin6_port = htons((in_port_t)port);
	} else {
		from.v4.sin_port = htons((in_port_t)port);
	}
	if (is_raw() && is_v6())
		from.v6.sin6_port = 0;
	if (!bind(fd, &from.any, length))
		return true;
	if (errno != EADDRINUSE || !options.tick_ns || !options.hold)
		fail("bind");
	return false;
}

/* -1: its port is held, see bind_source(). */
static int open_socket(uint64_t number)
{
	int type = is_raw() ? SOCK_RAW : options.protocol == IPPROTO_TCP ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_DGRAM;
	int protocol = is_raw() ? options.protocol : 0;
	int fd = socket(options.to.any.sa_family, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		fail("socket");
	if (options.reuse_port)
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	else if (options.source && options.protocol == IPPROTO_TCP)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!options.source && !options.from)
		return fd;
	if (bind_source(fd, options.source ? options.source + (unsigned)(number % options.sources) : 0))
		return fd;
	close(fd);
	return -1;
}

static int send_on(int fd, uint64_t number)
{
	unsigned char packet[64] = "x";
	size_t size = 1;
	if (options.protocol == IPPROTO_TCP) {
		int failed = connect(fd, &options.to.any, options.length);
		return failed && errno != EINPROGRESS ? errno : 0;
	}
	if (is_raw())
		size = fill((unsigned char *)memset(packet, 0, sizeof packet), options.protocol, number,
			    options.source ? options.source : 20000 + number % 40000, port_be16());
	union address to = options.to;
	if (is_raw() && is_v6())
		to.v6.sin6_port = 0;
	if (options.connected && connect(fd, &to.any, options.length))
		fail("connect");
	return sendto(fd, packet, size, 0, options.connected ? NULL : &to.any, options.connected ? 0 : options.length) <
			       0
		       ? errno
		       : 0;
}

static bool ended(uint64_t number, uint64_t began)
{
	return options.seconds > 0 ? now_ns() - began > (uint64_t)(options.seconds * 1e9) : number == options.count;
}

static void send_all(void)
{
	int fd = options.one ? open_socket(0) : -1;
	uint64_t began = now_ns();
	for (uint64_t number = 0; !ended(number, began); number++) {
		uint64_t tick = options.tick_ns ? next_tick() : 0;
		if (!options.one)
			while ((fd = open_socket(options.tick_ns ? tick : number)) < 0)
				tick = next_tick();
		if (options.tick_ns)
			await_tick(tick);
		tell(send_on(fd, number));
		if (!options.one && !options.hold)
			close(fd);
		if (options.pause_ns)
			nanosleep(&(struct timespec){0, (long)options.pause_ns}, NULL);
	}
}

/* Two threads, each on a CPU of its own, send on the same socket at the same moment: a new one each time. A raw socket
 * lets one of them in at a time, and has no port: there each has its own. */
static atomic_uint arrived;
static int sockets[THREADS];
static int results[THREADS];

static void meet(unsigned times)
{
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < times * THREADS)
		continue;
}

static void *send_together(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	stay_on((int)self);
	for (uint64_t number = 0; number < options.count; number++) {
		if (self == 0 || is_raw())
			sockets[self] = open_socket(number);
		meet((unsigned)number * 3 + 1);
		results[self] = send_on(sockets[is_raw() ? self : 0], number);
		meet((unsigned)number * 3 + 2);
		if (self == 0) {
			for (unsigned i = 0; i < THREADS; i++)
				tell(results[i]);
		}
		if (self == 0 || is_raw())
			close(sockets[self]);
		meet((unsigned)number * 3 + 3);
	}
	return NULL;
}

static void run_together(void)
{
	pthread_t other;
	if ((errno = pthread_create(&other, NULL, send_together, (void *)1)))
		fail("pthread_create");
	send_together((void *)0);
	pthread_join(other, NULL);
}

static void listen_on(const char *address, const char *range)
{
	unsigned low, high;
	if (sscanf(range, "%u-%u", &low, &high) != 2)
		exit(2);
	options.protocol = IPPROTO_UDP;
	parse_address(address, &options.to, &options.length, 0);
	for (unsigned port = low; port <= high; port++) {
		options.source = port;
		open_socket(0);
	}
}

static const struct option long_options[] = {
	{"count", required_argument, NULL, 'n'},
	{"seconds", required_argument, NULL, 's'},
	{"comm", required_argument, NULL, 'c'},
	{"source", required_argument, NULL, 'p'},
	{"sources", required_argument, NULL, 'P'},
	{"tick-us", required_argument, NULL, 't'},
	{"pause-us", required_argument, NULL, 'u'},
	{"from", required_argument, NULL, 'f'},
	{"cpu", required_argument, NULL, 'i'},
	{"one", no_argument, NULL, 'o'},
	{"hold", no_argument, NULL, 'h'},
	{"connect", no_argument, NULL, 'C'},
	{"reuse-port", no_argument, NULL, 'r'},
	{"together", no_argument, NULL, 'T'},
	{NULL, 0, NULL, 0},
};

static void parse_option(int option)
{
	switch (option) {
	case 'n':
		options.count = strtoull(optarg, NULL, 10);
		break;
	case 's':
		options.seconds = atof(optarg);
		break;
	case 'c':
		options.comm = optarg;
		break;
	case 'p':
		options.source = (unsigned)atoi(optarg);
		break;
	case 'P':
		options.sources = (unsigned)atoi(optarg);
		break;
	case 't':
		options.tick_ns = strtoull(optarg, NULL, 10) * 1000;
		break;
	case 'u':
		options.pause_ns = strtoull(optarg, NULL, 10) * 1000;
		break;
	case 'f':
		options.from = optarg;
		break;
	case 'i':
		options.cpu = atoi(optarg);
		break;
	case 'o':
		options.one = true;
		break;
	case 'h':
		options.hold = true;
		break;
	case 'C':
		options.connected = true;
		break;
	case 'r':
		options.reuse_port = true;
		break;
	case 'T':
		options.together = true;
		break;
	default:
		exit(2);
	}
}

static void await_start(void)
{
	char byte;
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
}

static void print_result(void)
{
	printf("{\"pid\":%d,\"sent\":%" PRIu64 ",\"errors\":{", getpid(), sent);
	const char *separator = "";
	for (int error = 1; error < MAX_ERRNO; error++) {
		if (!errors[error])
			continue;
		printf("%s\"%s\":%" PRIu64, separator, strerrorname_np(error), errors[error]);
		separator = ",";
	}
	printf("}}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
		parse_option(option);
	if (argc - optind < 2)
		exit(2);
	struct rlimit files = {65536, 65536};
	setrlimit(RLIMIT_NOFILE, &files);
	if (options.comm)
		prctl(PR_SET_NAME, options.comm);
	if (options.cpu >= 0)
		stay_on(options.cpu);
	const char *protocol = argv[optind], *address = argv[optind + 1], *last = argv[optind + 2];
	bool listening = !strcmp(protocol, "listen");
	if (listening) {
		listen_on(address, last);
	} else {
		parse_address(address, &options.to, &options.length, last ? (unsigned)atoi(last) : 0);
		options.protocol = protocol_number(protocol, is_v6());
	}
	await_start();
	if (listening)
		pause();
	if (options.together)
		run_together();
	else
		send_all();
	print_result();
	if (options.hold)
		pause();
	return 0;
}
