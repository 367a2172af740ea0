/* Through a node: the sender is in one network namespace, the receiver in another, in one process. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* lab.py gives the receiver's namespace this address, and the network of 2^17 others. */
#define OUTSIDE "203.0.113.1"
#define FIRST_DESTINATION "198.18.0.0"
enum { MOST_DESTINATIONS = 1 << 17 };

static void enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail(path);
	close(fd);
}

static struct sockaddr_in address(const char *text, int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(text)};
}

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	return fd;
}

static int receiver(const char *outside, int port)
{
	struct sockaddr_in at = address("0.0.0.0", port);
	enter(outside);
	int fd = udp_socket();
	if (bind(fd, (struct sockaddr *)&at, sizeof at))
		fail("bind");
	return fd;
}

void run_routed_connects(int count, const char *pod, const char *outside)
{
	struct sockaddr_in to = address(OUTSIDE, LISTENER_PORT);
	enter(outside);
	int listening = listener(to);
	enter(pod);
	set_port_range(2000, 65001);
	time_connects(count, listening, to);
	printf("%" PRId64 "\n", median(count));
}

/*
 * One socket sends to one destination after the other; with a receiver, the datagram is there when sendto() returns. CPU
 * time, which has the node's work in it too: of time itself, porttrace's would be a part whenever a sample wakes it.
 */
void run_datagrams(int count, int destinations, int port, const char *from, const char *outside)
{
	int receiving = outside ? receiver(outside, port) : -1, refused = 0, arrived = 0;
	struct sockaddr_in to = address(FIRST_DESTINATION, port);
	uint32_t first = ntohl(to.sin_addr.s_addr);
	char byte = 0;
	if (count < 1 || count > MOST_TIMES || destinations < 1 || destinations > MOST_DESTINATIONS)
		exit(2);
	enter(from);
	int fd = udp_socket();
	for (int i = 0; i < count; i++) {
		to.sin_addr.s_addr = htonl(first + (uint32_t)(i % destinations));
		int64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);
		if (sendto(fd, &byte, 1, 0, (struct sockaddr *)&to, sizeof to) < 0) {
			if (errno != EPERM)
				fail("sendto");
			refused++;
		} else if (receiving >= 0 && recv(receiving, &byte, 1, MSG_DONTWAIT) == 1) {
			arrived++;
		}
		taken[i] = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	}
	printf("%" PRId64 " %d %d\n", median(count), arrived, refused);
}

/* Connections that stay until standard input ends. */
void run_hold(int count, const char *pod, const char *outside)
{
	struct sockaddr_in to = address(OUTSIDE, LISTENER_PORT);
	char byte;
	enter(outside);
	int listening = listener(to);
	enter(pod);
	for (int i = 0; i < count; i++) {
		connected(to);
		accepted(listening);
	}
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}
