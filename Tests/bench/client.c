/* The measured side: connections that work, connections that fail, and when a line about a failure came.
 *
 *   client connects COUNT              connect, accept and close over loopback; prints nanoseconds for one
 *   client connects COUNT POD OUTSIDE  the same from one network namespace (its path) to another
 *   client datagrams COUNT DESTINATIONS PORT FROM [OUTSIDE]
 *                                      sends from a namespace to that many addresses in turn, and receives in another
 *                                      one; prints nanoseconds of CPU time for one, how many arrived, how many gave EPERM
 *   client hold COUNT POD OUTSIDE      connections that stay until standard input ends; prints a line when they are made
 *   client failures COUNT PORTS        connects that find no source port, to that many destination ports in turn;
 *                                      prints nanoseconds of time and of CPU time for one
 *   client stamps COUNT MICROSECONDS   the same to the ports from 1 on, paused between; prints "PORT NANOSECONDS" UTC,
 *                                      taken right before each
 *   client arrivals                    reads porttrace's NDJSON; prints the same, taken when the port's first line came
 *
 * Those without paths of namespaces make one of their own, except arrivals. Exits 1 where anything goes otherwise than it
 * should. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_HELD = 40000, LAST_HELD = 40003 };

int64_t taken[MOST_TIMES];

void fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

int64_t now_ns(clockid_t clock)
{
	struct timespec time;
	if (clock_gettime(clock, &time))
		fail("clock_gettime");
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	return fd;
}

void set_port_range(int low, int high)
{
	const char *path = "/proc/sys/net/ipv4/ip_local_port_range";
	FILE *file = fopen(path, "w");
	if (!file || fprintf(file, "%d %d", low, high) < 0 || fclose(file))
		fail(path);
}

static void enter_own_network(int low, int high)
{
	if (unshare(CLONE_NEWNET))
		fail("unshare");
	int fd = tcp_socket();
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		fail("lo");
	close(fd);
	set_port_range(low, high);
}

/* ---- connections that work ---- */

int listener(struct sockaddr_in at)
{
	int fd = tcp_socket();
	if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 16))
		fail("listen");
	return fd;
}

int connected(struct sockaddr_in to)
{
	int fd = tcp_socket();
	if (connect(fd, (struct sockaddr *)&to, sizeof to))
		fail("connect");
	return fd;
}

int accepted(int listening)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		fail("accept");
	return fd;
}

static void connect_once(int listening, struct sockaddr_in to)
{
	int fd = connected(to), other = accepted(listening);
	close(fd);
	close(other);
}

static int by_value(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

int64_t median(int count)
{
	qsort(taken, (size_t)count, sizeof *taken, by_value);
	return taken[count / 2];
}

void time_connects(int count, int listening, struct sockaddr_in to)
{
	if (count < 1 || count > MOST_TIMES)
		exit(2);
	for (int i = 0; i < count; i++) {
		int64_t start = now_ns(CLOCK_MONOTONIC);
		connect_once(listening, to);
		taken[i] = now_ns(CLOCK_MONOTONIC) - start;
	}
}

static void run_connects(int count)
{
	struct sockaddr_in to = loopback(LISTENER_PORT);
	enter_own_network(2000, 65001);
	time_connects(count, listener(to), to);
	printf("%" PRId64 "\n", median(count));
}

/* ---- connections that fail ---- */

/* Ports that bind() took are skipped wholesale: every connect fails at once. */
static void hold_all_ports(void)
{
	enter_own_network(FIRST_HELD, LAST_HELD);
	for (int port = FIRST_HELD; port <= LAST_HELD; port++) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
		if (bind(tcp_socket(), (struct sockaddr *)&at, sizeof at))
			fail("bind");
	}
}

static void fail_once(int port)
{
	struct sockaddr_in to = loopback(port);
	int fd = tcp_socket();
	if (!connect(fd, (struct sockaddr *)&to, sizeof to) || errno != EADDRNOTAVAIL)
		fail("connect should fail");
	close(fd);
}

static void run_failures(int count, int ports)
{
	if (count < 1 || ports < 1 || ports > UINT16_MAX)
		exit(2);
	hold_all_ports();
	int64_t start = now_ns(CLOCK_MONOTONIC), cpu_start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < count; i++)
		fail_once(1 + i % ports);
	int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_start, time = now_ns(CLOCK_MONOTONIC) - start;
	printf("%" PRId64 " %" PRId64 "\n", time / count, cpu / count);
}

static void run_stamps(int count, int pause_us)
{
	static int64_t stamps[UINT16_MAX + 1];
	struct timespec pause = {.tv_nsec = pause_us * 1000L};
	if (count < 1 || count > UINT16_MAX || pause_us < 0 || pause_us >= 1000000)
		exit(2);
	hold_all_ports();
	for (int port = 1; port <= count; port++) {
		stamps[port] = now_ns(CLOCK_REALTIME);
		fail_once(port);
		nanosleep(&pause, NULL);
	}
	for (int port = 1; port <= count; port++)
		printf("%d %" PRId64 "\n", port, stamps[port]);
}

/* ---- lines that arrive ---- */

/* 0 for a line that is of no failure. */
static int destination_port(const char *line)
{
	const char *found = strstr(line, "\"dst\":{\"addr\":\"127.0.0.1\",\"port\":");
	return found ? atoi(strrchr(strndupa(found, 40), ':') + 1) : 0;
}

static void run_arrivals(void)
{
	static int64_t arrivals[UINT16_MAX + 1];
	static char text[1 << 20];
	size_t used = 0;
	ssize_t got;
	while ((got = read(STDIN_FILENO, text + used, sizeof text - 1 - used)) > 0) {
		int64_t now = now_ns(CLOCK_REALTIME);
		char *line = text, *end;
		used += (size_t)got;
		text[used] = 0;
		while ((end = memchr(line, '\n', used - (size_t)(line - text)))) {
			*end = 0;
			int port = destination_port(line);
			if (port > 0 && port <= UINT16_MAX && !arrivals[port])
				arrivals[port] = now;
			line = end + 1;
		}
		used -= (size_t)(line - text);
		memmove(text, line, used);
	}
	if (got < 0)
		fail("read");
	for (int port = 1; port <= UINT16_MAX; port++)
		if (arrivals[port])
			printf("%d %" PRId64 "\n", port, arrivals[port]);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int first = argc > 2 ? atoi(argv[2]) : 0, second = argc > 3 ? atoi(argv[3]) : 0;
	if (!strcmp(mode, "connects") && argc == 5) {
		run_routed_connects(first, argv[3], argv[4]);
	} else if (!strcmp(mode, "connects")) {
		run_connects(first);
	} else if (!strcmp(mode, "datagrams") && (argc == 6 || argc == 7)) {
		run_datagrams(first, second, atoi(argv[4]), argv[5], argv[6]);
	} else if (!strcmp(mode, "hold") && argc == 5) {
		run_hold(first, argv[3], argv[4]);
	} else if (!strcmp(mode, "failures")) {
		run_failures(first, second);
	} else if (!strcmp(mode, "stamps")) {
		run_stamps(first, second);
	} else if (!strcmp(mode, "arrivals")) {
		run_arrivals();
	} else {
		fputs("usage: client connects COUNT [POD OUTSIDE] | hold COUNT POD OUTSIDE |\n"
		      "  datagrams COUNT DESTINATIONS PORT FROM [OUTSIDE] |\n"
		      "  failures COUNT PORTS | stamps COUNT MICROSECONDS | arrivals\n",
		      stderr);
		return 2;
	}
	return 0;
}
