/*
 * What the census of ports (bpf/census.bpf.h) counts and its readers (PortTraceProbes/PortCensusReader.swift,
 * PortTraceCore/Decode/CensusRecords.swift) take. Host byte order unless the name ends in _be16; addresses as in pt_wire.h;
 * addresses of the kernel are opaque to user space.
 */
#ifndef PT_CENSUS_H
#define PT_CENSUS_H

#include "pt_wire.h"

/* Owners' sockets towards one destination that are counted one by one, owners, and network namespaces. */
#define PT_CENSUS_MAX_KEYS 32768
#define PT_CENSUS_MAX_OWNERS 8192
#define PT_CENSUS_MAX_NETS 4096
/* Tables of the kernel: one, and one for each namespace that has its own (net.ipv4.tcp_child_ehash_entries). */
#define PT_CENSUS_TABLES 96

/* Resources whose processes can be looked for at once; a power of two. */
#define PT_CENSUS_SOUGHT 8

/* What is counted. */
enum pt_census_kind {
	PT_CENSUS_PORTS = 1,	  /* TCP sockets whose port connect() chose */
	PT_CENSUS_BIND_PORTS = 2, /* ports that bind() to port 0 cannot have, each as its first socket's */
	PT_CENSUS_TIME_WAIT = 3,  /* TIME_WAIT sockets whose owner is known */
	PT_CENSUS_KIND_END,	  /* first value that is no kind */
};

enum pt_census_flag {
	PT_CENSUS_IS_TIME_WAIT = 1 << 0,
	PT_CENSUS_FOLDED = 1 << 1,	 /* ports: pt_census_keys was full; the addresses are given up */
	PT_CENSUS_MET = 1 << 2,		 /* no count: a port, in tgid's place, that some process has open */
	PT_CENSUS_IN_FIN_WAIT2 = 1 << 3, /* of PT_CENSUS_IS_TIME_WAIT: in its substate, the peer has not closed */
};

/* Zero in every byte that is not used: it is hashed whole. */
struct pt_census_key {
	unsigned long long cgroup_id; /* as in pt_key; 0 unknown */
	unsigned int netns_id;	      /* inode */
	unsigned int netns_mix;	      /* drawn for each namespace */
	unsigned int tgid;	      /* the process that holds the socket, initial pid namespace; 0 unknown */
	unsigned short dst_port_be16; /* ports */
	unsigned char kind;	      /* enum pt_census_kind */
	unsigned char proto;	      /* IPPROTO_TCP, IPPROTO_UDP */
	unsigned char src_addr[16];   /* ports */
	unsigned char dst_addr[16];   /* ports */
	unsigned char family;	      /* enum pt_family; ports */
	unsigned char flags;	      /* enum pt_census_flag */
	unsigned char unused[6];
};

struct pt_census_count {
	unsigned long long count;
	char comm[PT_COMM_LEN]; /* of tgid's leader; any bytes, NUL-terminated */
	/* of open sockets whose process was looked for: its own, where the socket's does not tell whose it is; else 0 */
	unsigned long long cgroup_id;
};

#define PT_CENSUS_NOT_COUNTED 0xffffffffu

/* A network namespace, by its struct net. */
struct pt_census_net {
	unsigned long long reserved_map; /* ip_local_reserved_ports, a bit for each port */
	unsigned int netns_id;		 /* inode */
	unsigned int netns_mix;
	unsigned short port_low; /* ip_local_port_range, both ends usable */
	unsigned short port_high;
	unsigned int reserved;	/* ports of the range that are reserved, or PT_CENSUS_NOT_COUNTED */
	unsigned int bound;	/* TCP, others of it that bind() or listen() has */
	unsigned int tcp_ports; /* others of it that any TCP socket has */
	unsigned int udp_ports; /* others of it that a UDP socket has */
	unsigned int tcp_sockets;
	unsigned int time_wait_sockets;
	unsigned int udp_sockets;
	unsigned int tw_count; /* the kernel's own of TIME_WAIT sockets */
	unsigned int tw_limit; /* tcp_max_tw_buckets */
	unsigned char tw_reuse;
	unsigned char timestamps;
	unsigned char tells_tw; /* tw_count and tw_limit are known */
	unsigned char unused[5];
	unsigned short below_range; /* the nearest port below the range that bind() or a UDP socket has; 0: none */
	unsigned short above_range;
};

/* Which table a walk is over. */
enum pt_census_walk {
	PT_CENSUS_SOCKETS = 1,	 /* TCP's connections and TIME_WAIT sockets */
	PT_CENSUS_BUCKETS = 2,	 /* TCP's ports */
	PT_CENSUS_DATAGRAMS = 3, /* UDP's ports */
};

struct pt_census_table {
	unsigned long long net; /* one that uses it */
	unsigned long long table;
};

/* Shared state, in one memory-mapped array element. */
struct pt_census {
	unsigned int index; /* of the bucket that the next run begins with; written by user space at a walk's begin */
	unsigned int done;  /* likewise; the walk is over */
	unsigned int tcp_tables, udp_tables; /* how many of the tables below there are */
	/* What went wrong; written by user space at a census' begin. */
	/* Chains that changed whenever they were read, or beyond their first 32 sockets: some of these may be missing. */
	unsigned int moved;
	unsigned int long_chains; /* chains of which the end was not read */
	unsigned int crowded;	  /* UDP ports that may be counted twice: too many in one slot */
	unsigned int lost_nets;	  /* namespaces, or looks at one, that found no room */
	unsigned int lost_tables;
	unsigned int processes; /* written by user space: whether processes are told apart */
	unsigned int keys;	/* in pt_census_keys */
	unsigned int unused;
	unsigned long long strange;			  /* sockets of no namespace */
	unsigned long long uncounted[PT_CENSUS_KIND_END]; /* that found no room, by kind */
	struct pt_census_table tcp[PT_CENSUS_TABLES];
	struct pt_census_table udp[PT_CENSUS_TABLES];
	unsigned long long socket_ops; /* the table of operations that all sockets' files have */
	/* Resources whose processes are looked for; written by user space. kind 0: none; owner and flags are 0. */
	struct pt_census_key sought[PT_CENSUS_SOUGHT];
};

_Static_assert(sizeof(struct pt_census_key) == 64, "pt_census_key");
_Static_assert(sizeof(struct pt_census_count) == 32, "pt_census_count");
_Static_assert(sizeof(struct pt_census_net) == 72, "pt_census_net");
_Static_assert(sizeof(struct pt_census) == 96 + 2 * 16 * PT_CENSUS_TABLES + 64 * PT_CENSUS_SOUGHT, "pt_census");

#endif
