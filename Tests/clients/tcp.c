/* TCP: connect(), bind() and listen(), those that run out of ports and those that fail for other reasons. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof value))
		fail("setsockopt");
}

static int prepared_socket(const struct options *options, int family)
{
	int fd = open_socket(options, family);
	if (options->low) {
		uint32_t range = (uint32_t)options->high << 16 | options->low;
		if (setsockopt(fd, SOL_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range))
			fail("IP_LOCAL_PORT_RANGE");
	}
	if (options->reuse)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (options->no_port)
		set(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (options->fast_open == FAST_OPEN_CONNECT)
		set(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
	if (options->source.any.sa_family && bind(fd, &options->source.any, options->source_length))
		fail("bind source");
	return fd;
}

/* What became of a connect() that was under way. */
static int awaited(int fd)
{
	struct pollfd waiting = {.fd = fd, .events = POLLOUT};
	if (poll(&waiting, 1, -1) < 0)
		fail("poll");
	int error = 0;
	socklen_t size = sizeof error;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

static int start_connect(const struct options *options, int fd, const struct destination *to)
{
	if (options->fast_open == FAST_OPEN_SEND)
		return sendto(fd, "x", 1, MSG_FASTOPEN, &to->address.any, to->length) < 0 ? errno : 0;
	return connect(fd, &to->address.any, to->length) ? errno : 0;
}

int attempt_connect(const struct options *options, const struct destination *to)
{
	static int kept = -1;
	int fd = kept;
	if (fd < 0)
		fd = prepared_socket(options, to->address.any.sa_family);
	int error = start_connect(options, fd, to);
	if (error == EINPROGRESS && options->await_result)
		error = awaited(fd);
	if (options->retry)
		kept = fd;
	else
		close(fd);
	return error;
}

int attempt_bind(const struct options *options, const struct destination *to)
{
	int fd = open_socket(options, family_of(options, to));
	int error = bind(fd, &options->source.any, options->source_length) ? errno : 0;
	close(fd);
	return error;
}

int attempt_listen(const struct options *options, const struct destination *to)
{
	int fd = open_socket(options, family_of(options, to));
	int error = listen(fd, 1) ? errno : 0;
	close(fd);
	return error;
}

static int listener(const struct destination *at)
{
	int fd = socket(at->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, &at->address.any, at->length) || listen(fd, 64))
		fail("listen");
	return fd;
}

/* Takes the 4-tuple of the source port and each destination; the sockets stay open. */
void prepare_conflict(const struct options *options)
{
	for (unsigned i = 0; i < options->destination_count; i++) {
		const struct destination *to = &options->destinations[i];
		listener(to);
		int fd = prepared_socket(options, to->address.any.sa_family);
		if (connect(fd, &to->address.any, to->length))
			fail("connect");
	}
}

int attempt_conflict(const struct options *options, const struct destination *to)
{
	return attempt_connect(options, to);
}

static int listeners[MAX_DESTINATIONS];

void prepare_accepted(const struct options *options)
{
	for (unsigned i = 0; i < options->destination_count; i++)
		listeners[i] = listener(&options->destinations[i]);
}

/* A connection that succeeds; both ends are reset, so that no TIME_WAIT stays. */
int attempt_accepted(const struct options *options, const struct destination *to)
{
	struct linger reset = {.l_onoff = 1};
	int fd = prepared_socket(options, to->address.any.sa_family);
	int error = connect(fd, &to->address.any, to->length) ? errno : 0;
	if (!error) {
		int peer = accept4(listeners[to - options->destinations], NULL, NULL, SOCK_CLOEXEC);
		if (peer < 0)
			fail("accept");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(fd);
		close(peer);
		return 0;
	}
	close(fd);
	return error;
}

static void ignore(int number)
{
	(void)number;
}

static void interrupt_every(int milliseconds)
{
	struct itimerval period = {{0, milliseconds * 1000}, {0, milliseconds * 1000}};
	if (setitimer(ITIMER_REAL, &period, NULL))
		fail("setitimer");
}

void prepare_interrupted(const struct options *options)
{
	(void)options;
	struct sigaction action = {.sa_handler = ignore};
	if (sigaction(SIGALRM, &action, NULL))
		fail("sigaction");
}

/* A blocking connect() towards silence, ended by a signal's handler. */
int attempt_interrupted(const struct options *options, const struct destination *to)
{
	static bool ticking;
	if (!ticking)
		interrupt_every(1);
	ticking = true;
	return attempt_connect(options, to);
}

/* A blocking connect() towards silence, whose process a signal kills. */
int attempt_killed(const struct options *options, const struct destination *to)
{
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		interrupt_every(3);
		_exit(attempt_connect(options, to));
	}
	int status;
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	return WIFSIGNALED(status) ? EINTR : WEXITSTATUS(status);
}

/* Connects towards silence that give up by themselves, a batch at a time as each takes a second. */
void run_timeouts(struct options *options)
{
	enum { BATCH = 2000 };
	static int batch[BATCH];
	for (uint64_t done = 0; done < options->count;) {
		unsigned size = options->count - done < BATCH ? (unsigned)(options->count - done) : BATCH;
		for (unsigned i = 0; i < size; i++) {
			const struct destination *to = &options->destinations[(done + i) % options->destination_count];
			batch[i] = prepared_socket(options, to->address.any.sa_family);
			set(batch[i], SOL_TCP, TCP_USER_TIMEOUT, 100);
			set(batch[i], SOL_TCP, TCP_SYNCNT, 1);
			if (!connect(batch[i], &to->address.any, to->length) || errno != EINPROGRESS)
				fail("connect");
		}
		for (unsigned i = 0; i < size; i++) {
			options->destinations[(done + i) % options->destination_count].outcomes[awaited(batch[i])]++;
			close(batch[i]);
		}
		done += size;
	}
}
