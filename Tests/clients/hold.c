/* Holds every port of a range, and says what this kernel can do. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* bind() to [::] takes the port for IPv4 too; connect() skips such a port wholesale. */
static void hold(int type, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any))
		fail("hold");
}

void hold_ports(const struct options *options)
{
	for (unsigned port = options->low; port <= options->high; port++) {
		hold(SOCK_STREAM, (uint16_t)port);
		hold(SOCK_DGRAM, (uint16_t)port);
	}
}

static int probe_socket(int protocol)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int probe_option(int level, int name, const void *value, socklen_t size)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = fd < 0 || setsockopt(fd, level, name, value, size) ? errno : 0;
	close(fd);
	return error;
}

static void print_feature(const char *name, int error, const char *separator)
{
	printf("\"%s\":\"%s\"%s", name, error ? strerrorname_np(error) : "yes", separator);
}

void print_features(void)
{
	int one = 1;
	uint32_t range = 32769u << 16 | 32768u;
	printf("{");
	print_feature("mptcp", probe_socket(IPPROTO_MPTCP), ",");
	print_feature("io_uring", probe_uring(), ",");
	print_feature("local_port_range", probe_option(SOL_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range), ",");
	print_feature("fast_open_connect", probe_option(SOL_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one), "}\n");
}
