/* Makes many connects fail for want of a port, towards many destinations in turn, and counts its own errno.
 *
 *   storm COUNT DESTINATIONS FAMILY COMM      FAMILY: 4 or 6
 *
 * Destination i is 198.51.100.(1 + i % 250), port 1000 + i / 250; or 2001:db8::(i + 1), port 443. Starts when its
 * standard input ends; prints one JSON line with the failures towards each destination. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t set_destination(union address *address, int family, uint32_t index)
{
	if (family == 4) {
		uint32_t host = (198u << 24 | 51 << 16 | 100 << 8) + 1 + index % 250;
		address->v4 = (struct sockaddr_in){.sin_family = AF_INET,
						   .sin_port = htons((uint16_t)(1000 + index / 250)),
						   .sin_addr = {htonl(host)}};
		return sizeof address->v4;
	}
	uint32_t last = htonl(index + 1);
	address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(443)};
	inet_pton(AF_INET6, "2001:db8::", &address->v6.sin6_addr);
	memcpy(&address->v6.sin6_addr.s6_addr[12], &last, sizeof last);
	return sizeof address->v6;
}

static int attempt(int family, uint32_t index)
{
	union address address;
	socklen_t length = set_destination(&address, family, index);
	int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int error = connect(fd, &address.any, length) ? errno : 0;
	close(fd);
	return error;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	uint64_t count = strtoull(argv[1], NULL, 10), others = 0;
	uint32_t destinations = (uint32_t)strtoul(argv[2], NULL, 10);
	int family = atoi(argv[3]);
	uint32_t *failures = calloc(destinations, sizeof *failures);
	if (!destinations || !failures)
		return 1;
	prctl(PR_SET_NAME, argv[4]);
	puts("ready");
	fflush(stdout);
	for (char byte; read(STDIN_FILENO, &byte, 1) > 0;)
		continue;
	for (uint64_t i = 0; i < count; i++) {
		uint32_t index = (uint32_t)(i % destinations);
		if (attempt(family, index) == EADDRNOTAVAIL)
			failures[index]++;
		else
			others++;
	}
	printf("{\"pid\":%d,\"others\":%" PRIu64 ",\"counts\":[", getpid(), others);
	for (uint32_t i = 0; i < destinations; i++)
		printf("%s%" PRIu32, i ? "," : "", failures[i]);
	puts("]}");
	return 0;
}
