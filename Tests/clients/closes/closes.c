/*
 * closes WAY ADDRESS PORT COUNT: opens COUNT connections over the loopback, one after the other, to a listener of its own,
 * and closes each in one WAY. It waits for each step, so that what the state machine does is known:
 *
 * client  the client closes first and has the TIME_WAIT socket
 * server  the server does
 * half    the client shuts its sending down, and closes after the server has
 * unread  the client shuts down, and closes with data that it has not read: a reset, no TIME_WAIT
 * linger  the client shuts down, and closes with SO_LINGER of 0: a reset
 * linger2 the client closes with TCP_LINGER2 below 0: it is gone when its FIN is acknowledged
 * after   the client closes, and the server sends data at once: a reset, before or in TIME_WAIT
 * ADDRESS is IPv4 or IPv6; an IPv4 one with a `+` before it listens on IPv6, so that the server's sockets are v4-mapped.
 *
 * Prints "ready", waits for the end of standard input, works, prints "done" with the count, and exits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STATE_FIN_WAIT2 = 5, STATE_CLOSE = 7 }; /* include/net/tcp_states.h */

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int result, const char *what)
{
	if (result < 0)
		fail(what);
}

static int state_of(int socket)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	check(getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length), "TCP_INFO");
	return info.tcpi_state;
}

static void await_state(int socket, int state)
{
	while (state_of(socket) != state)
		usleep(50);
}

static void await_input(int socket)
{
	struct pollfd polled = {.fd = socket, .events = POLLIN};

	check(poll(&polled, 1, -1), "poll");
}

static void await_end(int socket)
{
	char byte;

	if (read(socket, &byte, 1) != 0)
		fail("read");
}

static void set(int socket, int level, int option, const void *value, socklen_t length)
{
	check(setsockopt(socket, level, option, value, length), "setsockopt");
}

static void close_by(const char *way, int client, int server)
{
	struct linger at_once = {.l_onoff = 1};
	int below = -1, off = 0;

	if (!strcmp(way, "client")) {
		close(client);
		await_end(server);
	} else if (!strcmp(way, "server")) {
		close(server);
		await_end(client);
		close(client);
		return;
	} else if (!strcmp(way, "half")) {
		check(shutdown(client, SHUT_WR), "shutdown");
		await_end(server);
		await_state(client, STATE_FIN_WAIT2);
		close(server);
		await_end(client);
		close(client);
		return;
	} else if (!strcmp(way, "unread") || !strcmp(way, "linger")) {
		check(shutdown(client, SHUT_WR), "shutdown");
		await_state(client, STATE_FIN_WAIT2);
		if (*way == 'u') {
			check(write(server, "x", 1), "write");
			await_input(client);
		} else {
			set(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		}
		close(client);
		await_state(server, STATE_CLOSE);
	} else if (!strcmp(way, "linger2")) {
		set(client, IPPROTO_TCP, TCP_LINGER2, &below, sizeof(below));
		close(client);
		await_state(server, STATE_CLOSE);
	} else if (!strcmp(way, "after")) {
		set(server, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
		close(client);
		await_end(server);
		check(write(server, "x", 1), "write");
		await_state(server, STATE_CLOSE);
	} else {
		errno = EINVAL;
		fail(way);
	}
	close(server);
}

int main(int count, char **arguments)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
	int on = 1, off = 0;
	char byte;

	if (count != 5)
		return 2;
	const char *way = arguments[1], *address = arguments[2];
	bool mapped = *address == '+';
	long connections = atol(arguments[4]);
	v4.sin_port = v6.sin6_port = htons(atoi(arguments[3]));
	bool is_v4 = inet_pton(AF_INET, address + mapped, &v4.sin_addr) == 1;
	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		fail(address);
	int listener = socket(is_v4 && !mapped ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	check(listener, "socket");
	set(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (mapped)
		set(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	check(is_v4 && !mapped ? bind(listener, (void *)&v4, sizeof(v4)) : bind(listener, (void *)&v6, sizeof(v6)),
	      "bind");
	check(listen(listener, 16), "listen");
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	for (long i = 0; i < connections; i++) {
		int client = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);

		check(client, "socket");
		check(is_v4 ? connect(client, (void *)&v4, sizeof(v4)) : connect(client, (void *)&v6, sizeof(v6)),
		      "connect");
		int server = accept(listener, 0, 0);
		check(server, "accept");
		close_by(way, client, server);
	}
	close(listener);
	printf("done %ld\n", connections);
	return 0;
}
