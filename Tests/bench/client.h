/* What the parts of the client share. All exit 1 where something goes otherwise than it should. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdint.h>
#include <time.h>

enum { MOST_TIMES = 100000, LISTENER_PORT = 1000 };

extern int64_t taken[MOST_TIMES]; /* nanoseconds, for print_median() */

_Noreturn void fail(const char *what);
int64_t now_ns(clockid_t clock);
int listener(struct sockaddr_in at);
int connected(struct sockaddr_in to);
int accepted(int listening);
void set_port_range(int low, int high);
void time_connects(int count, int listening, struct sockaddr_in to);

/* Of the first COUNT. The median: what else ran on the CPU meanwhile (timers, porttrace's own flush) is not in it. */
int64_t median(int count);

/* routed.c: through a node, between network namespaces that are there. */
void run_routed_connects(int count, const char *pod, const char *outside);
void run_datagrams(int count, int destinations, int port, const char *from, const char *outside);
void run_hold(int count, const char *pod, const char *outside);

#endif
