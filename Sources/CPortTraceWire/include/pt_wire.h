/*
 * The records that the BPF programs (bpf/) write and PortTraceCore/Decode reads: the one source of
 * truth for their layout. No kernel header is included, so that both sides compile it as it is.
 *
 * Integers are in host byte order unless the name ends in _be16. Addresses are bytes in network
 * order; an IPv4 address takes the first four of the sixteen and the rest is zero.
 */
#ifndef PT_WIRE_H
#define PT_WIRE_H

#define PT_COMM_LEN 16 /* TASK_COMM_LEN, include/linux/sched.h */

/* Bytes of a cgroup's path as recorded, its final NUL included; a longer path is left out. */
#define PT_CGROUP_PATH_LEN 1024

/* In a cgroup's id: its hierarchy is the one of pt_control.v1. Ids grow from 1 in each hierarchy (fs/kernfs/dir.c). */
#define PT_CGROUP_V1 (1ULL << 63)

/* Controllers that a cgroup v1 hierarchy is known by. */
enum pt_v1 {
	PT_V1_NONE = 0,
	PT_V1_MEMORY = 1,
	PT_V1_PIDS = 2,
	PT_V1_CPU = 3,
	PT_V1_DEVICES = 4,
	PT_V1_END,
};

/* Keys counted one by one in an interval, per map; what finds no room is folded (see pt_key). */
#define PT_MAX_KEYS 32768
#define PT_MAX_FOLDED 1024

/* What happened. */
enum pt_kind {
	PT_KIND_CONNECT_EXHAUSTED = 1,
	PT_KIND_CONNECT_CONFLICT = 2,
	PT_KIND_BIND_EXHAUSTED = 3,
	PT_KIND_CONNTRACK_TABLE_FULL = 4,
	PT_KIND_CONNTRACK_EVICTED = 5,
	PT_KIND_CONNTRACK_INSERT_FAILED = 6,
	/*
	 * The reply tuple of a source-NATed flow was taken when it was to be inserted. User space tells whether the
	 * range was spent (snat_exhausted) or two flows chose one port (conntrack_insert_failed, race).
	 */
	PT_KIND_SNAT_CLASH = 7,
	PT_KIND_TIME_WAIT_OVERFLOW = 8,
	PT_KIND_TCP_STATE = 9, /* no failure: a TCP socket's change of state, in the ring or counted, never both */
	PT_KIND_END,	       /* first value that is no kind */
};

enum pt_cause {
	PT_CAUSE_PORT_RANGE = 1,  /* connect_exhausted, bind_exhausted */
	PT_CAUSE_TUPLE_TAKEN = 2, /* connect_conflict */
	PT_CAUSE_TABLE_FULL = 3,  /* conntrack_table_full, conntrack_evicted */
	PT_CAUSE_RACE = 4,	  /* conntrack_insert_failed, as the three after it; snat clash */
	PT_CAUSE_CHAIN_TOO_LONG = 5,
	PT_CAUSE_DYING = 6,
	PT_CAUSE_NO_MEMORY = 7,	 /* time_wait_overflow, too */
	PT_CAUSE_TW_BUCKETS = 8, /* time_wait_overflow */
	PT_CAUSE_END,
};

/* What saw the failure: `probe` in the contract. */
enum pt_tier {
	PT_TIER_FENTRY = 1,
	PT_TIER_KPROBE = 2,
	PT_TIER_TRACEPOINT = 3,
	PT_TIER_END,
};

/* How the owner was found: `attribution` in the contract. */
enum pt_attribution {
	PT_ATTRIBUTION_NONE = 0,   /* no owner */
	PT_ATTRIBUTION_TASK = 1,   /* the failing task */
	PT_ATTRIBUTION_SOCKET = 2, /* the creator of the packet's, or the failing, socket */
	PT_ATTRIBUTION_TUPLE = 3,  /* the one socket that fits address, protocol and port */
	PT_ATTRIBUTION_NETNS = 4,  /* owner_netns_id has the address: the pod, not who in it */
	PT_ATTRIBUTION_END,
};

/* Address family of pt_key; 0 where no address is known. A v4-mapped socket is IPv4. */
enum pt_family {
	PT_FAMILY_NONE = 0,
	PT_FAMILY_IPV4 = 4,
	PT_FAMILY_IPV6 = 6,
};

enum pt_flag {
	PT_FLAG_SRC = 1 << 0,	   /* src_addr is known */
	PT_FLAG_DST = 1 << 1,	   /* dst_addr and dst_port_be16 are known */
	PT_FLAG_FOLDED = 1 << 2,   /* map full: kind, cause, cgroup, netns, proto, attribution and tier only */
	PT_FLAG_OTHER = 1 << 3,	   /* folded map full too: kind only */
	PT_FLAG_NAT = 1 << 4,	   /* nat_addr and, in the detail, nat_port_be16 are known */
	PT_FLAG_BACKEND = 1 << 5,  /* backend_addr and backend_port_be16 are known */
	PT_FLAG_OUTBOUND = 1 << 6, /* conntrack: the opener is on this node */
	PT_FLAG_INBOUND = 1 << 7,  /* conntrack: it is not */
};

/*
 * What failures are counted by. Zero in every byte that is not used: it is hashed whole.
 *
 * Conntrack's source and destination are the original tuple, before any NAT. ICMP has type and code in place of the
 * destination port, in that order of bytes.
 */
struct pt_key {
	unsigned long long cgroup_id; /* kernfs node of the cgroup2 hierarchy, or with PT_CGROUP_V1; 0 unknown */
	unsigned long long start_ns;  /* the process's start, CLOCK_BOOTTIME; 0 without process */
	unsigned int tgid;	      /* process id in the initial pid namespace; 0 without process */
	unsigned int netns_id;	      /* network namespace, inode: the socket's, or whose table it is; 0 unknown */
	unsigned int owner_netns_id;  /* conntrack: the namespace that has the owner's address; 0 unknown */
	unsigned short zone;	      /* conntrack zone of the entry */
	unsigned short error;	      /* positive errno that the caller gets; 0 unknown */
	unsigned char src_addr[16];
	unsigned char dst_addr[16];
	unsigned char nat_addr[16];	/* the address that source NAT chose */
	unsigned char backend_addr[16]; /* where destination NAT led */
	unsigned short dst_port_be16;
	unsigned short backend_port_be16;
	unsigned char kind;	      /* enum pt_kind */
	unsigned char cause;	      /* enum pt_cause; 0 with PT_FLAG_OTHER, and for a change of state */
	unsigned char proto;	      /* IPPROTO_*; 0 unknown */
	unsigned char family;	      /* enum pt_family */
	unsigned char tier;	      /* enum pt_tier */
	unsigned char attribution;    /* enum pt_attribution */
	unsigned char flags;	      /* enum pt_flag */
	unsigned char states;	      /* tcp_state: the old one << 4 | the new one, as in include/net/tcp_states.h */
	unsigned int owner_netns_mix; /* drawn for each namespace: owner_netns_id may be used again */
};

/* What is known beyond the key, from the first failure of a line. */
struct pt_detail {
	unsigned int tid;	      /* thread id, initial pid namespace; 0 without process */
	unsigned int uid;	      /* real uid, initial user namespace */
	char comm[PT_COMM_LEN];	      /* the thread group leader's; any bytes, NUL-terminated */
	unsigned short src_port_be16; /* 0: none was assigned; the id for ICMP */
	unsigned short port_low;      /* port range in force, both ends usable; 0, 0 unknown */
	unsigned short port_high;
	unsigned short nat_port_be16; /* the port, or ICMP's id, that source NAT chose */
	unsigned int limit;	      /* nf_conntrack_max, or tcp_max_tw_buckets; 0 unknown */
	unsigned int fresh_timeout;   /* of a SNAT clash: seconds that its entry would have had left; 0 unknown */
};

/* The ring buffer's record: one failure, shown at once. */
struct pt_sample {
	struct pt_key key;
	struct pt_detail detail;
	unsigned long long time_ns; /* CLOCK_MONOTONIC */
	unsigned int generation;    /* the generation that counted it (pt_control) */
	unsigned int unused;
};

/* The count maps' value. count - sampled failures are still to be reported when it is drained. */
struct pt_count {
	unsigned long long count;	  /* failures of this key */
	unsigned long long sampled;	  /* those of them that went into the ring */
	unsigned long long rest_first_ns; /* first and last of the others, CLOCK_MONOTONIC */
	unsigned long long rest_last_ns;
	struct pt_detail detail; /* of the first of the others; of the sampled one until then */
};

/* A destination that a filter option asks for. */
struct pt_state_destination {
	unsigned char addr[16]; /* as in pt_key; host bits are 0 */
	unsigned char mask[16];
	unsigned short port_be16; /* 0: any */
	unsigned char family;	  /* enum pt_family; 0: any address */
	unsigned char unused;
};

/* Which changes of state are told: what the filter options reject for certain is not. Written by user space. */
#define PT_STATE_FILTERS 16 /* of each sort; with more, user space alone filters */
struct pt_state_filter {
	unsigned int pids;	   /* how many there are; 0: any */
	unsigned int destinations; /* likewise */
	unsigned int pid[PT_STATE_FILTERS];
	struct pt_state_destination destination[PT_STATE_FILTERS];
};

/* Shared state, in one memory-mapped array element. */
struct pt_control {
	unsigned int generation; /* written by user space; its lowest bit chooses the maps */
	unsigned int each;	 /* written by user space before it says "attached": sample every failure */
	unsigned int v1;	 /* likewise: enum pt_v1, where containers may be */
	unsigned int unused;
	unsigned long long recorded;	 /* failures counted */
	unsigned long long ring_lost;	 /* samples that the ring had no room for */
	unsigned long long unremembered; /* connects whose state before could not be kept */
};

_Static_assert(sizeof(struct pt_key) == 112, "pt_key");
_Static_assert(sizeof(struct pt_detail) == 40, "pt_detail");
_Static_assert(sizeof(struct pt_sample) == 168, "pt_sample");
_Static_assert(sizeof(struct pt_count) == 72, "pt_count");
_Static_assert(sizeof(struct pt_control) == 40, "pt_control");
_Static_assert(sizeof(struct pt_state_filter) == 648, "pt_state_filter");

#endif
