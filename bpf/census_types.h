/* Kernel types that the census of ports reads, beside vmlinux.h and netfilter.h. */
#ifndef PT_CENSUS_TYPES_H
#define PT_CENSUS_TYPES_H

#include "netfilter.h"
#include "vmlinux.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	atomic_t refs;
} refcount_t;
struct inet_timewait_death_row___census {
	refcount_t tw_refcount; /* one more than sockets */
	int sysctl_max_tw_buckets;
};
struct inet_timewait_death_row___count { /* until v5.18: 4ee806d51176 and others; then tw_refcount */
	atomic_t tw_count;
};
struct netns_ipv4___census {
	struct inet_timewait_death_row___census tcp_death_row;
	unsigned long *sysctl_local_reserved_ports;
	u8 sysctl_tcp_tw_reuse;
	u8 sysctl_tcp_timestamps;
};
struct net___census {
	struct netns_ipv4___census ipv4;
};
struct netns_ipv4___count {
	struct inet_timewait_death_row___count tcp_death_row;
};
struct net___count_tw {
	struct netns_ipv4___count ipv4;
};

struct inet_ehash_bucket {
	void *chain;
};
struct inet_hashinfo___census {
	struct inet_ehash_bucket *ehash;
	unsigned int ehash_mask;
};
struct inet_bind_bucket___census {
	int l3mdev;
	signed char fastreuse;
	signed char fastreuseport;
};
struct inet_connection_sock {
	struct inet_bind_bucket *icsk_bind_hash;
};
struct inet_timewait_sock {
	struct inet_bind_bucket *tw_tb;
};

#pragma clang attribute pop
#endif
