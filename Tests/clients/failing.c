/* Makes failures on purpose and counts its own errno.
 *
 *   failing MODE [options] [DESTINATION...]      DESTINATION: 192.0.2.1:80, [2001:db8::1]:80, [::ffff:192.0.2.1]:80
 *
 * Starts when its standard input ends, tries --count times over the destinations in turn, and prints one JSON line
 * with the outcomes per destination. Exits 1 when it could not set itself up. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct mode {
	const char *name;
	attempt *attempt;
	void (*prepare)(const struct options *);
	void (*run)(struct options *);
};

static const struct mode modes[] = {
	{"connect", attempt_connect, NULL, NULL},
	{"conflict", attempt_conflict, prepare_conflict, NULL},
	{"uring", attempt_uring, prepare_uring, NULL},
	{"bind", attempt_bind, NULL, NULL},
	{"listen", attempt_listen, NULL, NULL},
	{"udp-connect", attempt_udp_connect, NULL, NULL},
	{"sendto", attempt_sendto, NULL, NULL},
	{"sendmsg", attempt_sendmsg, NULL, NULL},
	{"sendmmsg", attempt_sendmmsg, NULL, NULL},
	{"accepted", attempt_accepted, prepare_accepted, NULL},
	{"interrupted", attempt_interrupted, prepare_interrupted, NULL},
	{"killed", attempt_killed, NULL, NULL},
	{"timeouts", NULL, NULL, run_timeouts},
};

void fail(const char *what)
{
	fprintf(stderr, "failing: %s: %s\n", what, strerror(errno));
	exit(1);
}

int family_of(const struct options *options, const struct destination *destination)
{
	if (destination && destination->length)
		return destination->address.any.sa_family;
	return options->source.any.sa_family ? options->source.any.sa_family : AF_INET;
}

int open_socket(const struct options *options, int family)
{
	int type = (options->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | (options->nonblock ? SOCK_NONBLOCK : 0);
	int fd = socket(family, type, options->mptcp ? IPPROTO_MPTCP : 0);
	if (fd < 0)
		fail("socket");
	return fd;
}

static void parse_address(const char *text, union address *address, socklen_t *length)
{
	char host[INET6_ADDRSTRLEN + 1] = "";
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[';
	size_t size = colon ? (size_t)(colon - text) - (bracketed ? 2 : 0) : sizeof host;
	errno = EINVAL;
	if (size >= sizeof host)
		fail(text);
	memcpy(host, text + bracketed, size);
	in_port_t port = htons((uint16_t)atoi(colon + 1));
	if (bracketed) {
		address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) != 1)
			fail(text);
		*length = sizeof address->v6;
	} else {
		address->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		if (inet_pton(AF_INET, host, &address->v4.sin_addr) != 1)
			fail(text);
		*length = sizeof address->v4;
	}
}

static void print_address(const union address *address)
{
	char host[INET6_ADDRSTRLEN];
	if (address->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
	else if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
		inet_ntop(AF_INET, &address->v6.sin6_addr.s6_addr[12], host, sizeof host);
	else
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
	in_port_t port = address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port;
	printf("\"addr\":\"%s\",\"port\":%u,", host, ntohs(port));
}

static const struct option long_options[] = {
	{"count", required_argument, NULL, 'n'}, {"source", required_argument, NULL, 's'},
	{"range", required_argument, NULL, 'r'}, {"comm", required_argument, NULL, 'c'},
	{"uid", required_argument, NULL, 'u'},	 {"fast-open", required_argument, NULL, 'f'},
	{"udp", no_argument, NULL, 'U'},	 {"mptcp", no_argument, NULL, 'M'},
	{"nonblock", no_argument, NULL, 'N'},	 {"retry", no_argument, NULL, 'R'},
	{"no-port", no_argument, NULL, 'P'},	 {"reuse", no_argument, NULL, 'E'},
	{"await", no_argument, NULL, 'A'},	 {"thread", no_argument, NULL, 'T'},
	{"io-worker", no_argument, NULL, 'W'},	 {NULL, 0, NULL, 0},
};

static void parse_option(struct options *options, int option)
{
	switch (option) {
	case 'n':
		options->count = strtoull(optarg, NULL, 10);
		break;
	case 's':
		parse_address(optarg, &options->source, &options->source_length);
		break;
	case 'r':
		if (sscanf(optarg, "%" SCNu16 "-%" SCNu16, &options->low, &options->high) != 2)
			exit(2);
		break;
	case 'c':
		options->comm = optarg;
		break;
	case 'u':
		options->uid = atoi(optarg);
		break;
	case 'f':
		options->fast_open = strcmp(optarg, "send") ? FAST_OPEN_CONNECT : FAST_OPEN_SEND;
		break;
	case 'U':
		options->udp = true;
		break;
	case 'M':
		options->mptcp = true;
		break;
	case 'N':
		options->nonblock = true;
		break;
	case 'R':
		options->retry = true;
		break;
	case 'P':
		options->no_port = true;
		break;
	case 'E':
		options->reuse = true;
		break;
	case 'A':
		options->await_result = true;
		break;
	case 'T':
		options->thread = true;
		break;
	case 'W':
		options->io_worker = true;
		break;
	default:
		exit(2);
	}
}

static void parse_options(struct options *options, int argc, char **argv)
{
	for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
		parse_option(options, option);
	if (optind == argc) {
		fprintf(stderr, "usage: failing MODE [options] [DESTINATION...]\n");
		exit(2);
	}
	options->mode = argv[optind++];
	unsigned count = (unsigned)(argc - optind);
	options->destination_count = count ? count : 1; /* without one: a nameless destination of length 0 */
	options->destinations = calloc(options->destination_count, sizeof *options->destinations);
	if (!options->destinations)
		fail("calloc");
	for (unsigned i = 0; i < count; i++)
		parse_address(argv[optind + (int)i], &options->destinations[i].address,
			      &options->destinations[i].length);
}

static void become(const struct options *options)
{
	struct rlimit files = {65536, 65536};
	setrlimit(RLIMIT_NOFILE, &files);
	if (options->comm)
		prctl(PR_SET_NAME, options->comm);
	if (options->uid >= 0 && setresuid((uid_t)options->uid, (uid_t)options->uid, (uid_t)options->uid))
		fail("setresuid");
}

static void await_start(void)
{
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
}

static void print_outcomes(const struct options *options, const char *mode)
{
	printf("{\"pid\":%d,\"mode\":\"%s\",\"destinations\":[", getpid(), mode);
	for (unsigned i = 0; i < options->destination_count; i++) {
		const struct destination *destination = &options->destinations[i];
		printf("%s{", i ? "," : "");
		if (destination->length)
			print_address(&destination->address);
		printf("\"outcomes\":{");
		const char *separator = "";
		for (int error = 0; error < MAX_ERRNO; error++) {
			if (!destination->outcomes[error])
				continue;
			printf("%s\"%s\":%" PRIu64, separator, error ? strerrorname_np(error) : "OK",
			       destination->outcomes[error]);
			separator = ",";
		}
		printf("}}");
	}
	printf("]}\n");
	fflush(stdout);
}

struct work {
	struct options *options;
	const struct mode *mode;
};

static void *work(void *argument)
{
	struct options *options = ((struct work *)argument)->options;
	const struct mode *mode = ((struct work *)argument)->mode;
	if (mode->run) {
		mode->run(options);
		return NULL;
	}
	for (uint64_t i = 0; i < options->count; i++) {
		struct destination *destination = &options->destinations[i % options->destination_count];
		int error = mode->attempt(options, destination);
		if (error < 0 || error >= MAX_ERRNO)
			error = MAX_ERRNO - 1;
		destination->outcomes[error]++;
	}
	return NULL;
}

static void run(struct options *options, const struct mode *mode)
{
	struct work job = {options, mode};
	if (mode->prepare)
		mode->prepare(options);
	puts("ready");
	fflush(stdout);
	await_start();
	pthread_t thread;
	if (!options->thread) {
		work(&job);
	} else {
		if ((errno = pthread_create(&thread, NULL, work, &job)))
			fail("pthread_create");
		pthread_setname_np(thread, "worker");
		pthread_join(thread, NULL);
	}
}

int main(int argc, char **argv)
{
	struct options options = {.count = 1, .uid = -1};
	parse_options(&options, argc, argv);
	if (!strcmp(options.mode, "features")) {
		print_features();
		return 0;
	}
	become(&options);
	if (!strcmp(options.mode, "hold")) {
		hold_ports(&options);
		puts("ready");
		fflush(stdout);
		await_start();
		return 0;
	}
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(options.mode, modes[i].name))
			continue;
		run(&options, &modes[i]);
		print_outcomes(&options, modes[i].name);
		return 0;
	}
	fprintf(stderr, "failing: no mode %s\n", options.mode);
	return 2;
}
