/* What the parts of the failing client share. */
#ifndef PORTTRACE_TESTS_CLIENT_H
#define PORTTRACE_TESTS_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { MAX_DESTINATIONS = 4096, MAX_ERRNO = 134 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct destination {
	union address address;
	socklen_t length;
	uint64_t outcomes[MAX_ERRNO]; /* by errno; 0: no error */
};

enum fast_open { FAST_OPEN_NONE, FAST_OPEN_SEND, FAST_OPEN_CONNECT };

struct options {
	const char *mode;
	uint64_t count;
	union address source; /* any.sa_family 0: none given */
	socklen_t source_length;
	bool udp, mptcp, nonblock, retry, no_port, reuse, await_result, thread, io_worker;
	enum fast_open fast_open;
	uint16_t low, high; /* 0: none given */
	const char *comm;
	int uid; /* -1: as started */
	struct destination *destinations;
	unsigned destination_count;
};

/* Each makes one attempt and returns 0 or the errno that it got. */
typedef int attempt(const struct options *, const struct destination *);

/* failing.c */
_Noreturn void fail(const char *what);
int open_socket(const struct options *, int family);
int family_of(const struct options *, const struct destination *);

/* tcp.c */
attempt attempt_connect, attempt_bind, attempt_listen, attempt_conflict, attempt_accepted;
attempt attempt_interrupted, attempt_killed;
void prepare_conflict(const struct options *);
void prepare_accepted(const struct options *);
void prepare_interrupted(const struct options *);
void run_timeouts(struct options *);

/* udp.c */
attempt attempt_udp_connect, attempt_sendto, attempt_sendmsg, attempt_sendmmsg;

/* uring.c */
attempt attempt_uring;
void prepare_uring(const struct options *);
int probe_uring(void);

/* hold.c */
void hold_ports(const struct options *);
void print_features(void);

#endif
