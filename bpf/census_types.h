/* Kernel types that the census of ports reads, beside vmlinux.h and netfilter.h. */
#ifndef PT_CENSUS_TYPES_H
#define PT_CENSUS_TYPES_H

#include "netfilter.h"
#include "vmlinux.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct netns_ipv4___census {
	unsigned long *sysctl_local_reserved_ports;
	u8 sysctl_tcp_tw_reuse;
	u8 sysctl_tcp_timestamps;
};
struct net___census {
	struct netns_ipv4___census ipv4;
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
	volatile unsigned char tw_substate;
};

#pragma clang attribute pop
#endif
