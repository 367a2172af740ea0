/*
 * What the programs that look at the kernel's own counters (bpf/conntrack.bpf.h, bpf/time_wait.bpf.h) and their reader (PortTraceProbes/ConntrackAudit.swift) share beside
 * the records of pt_wire.h. Host byte order; addresses of the kernel are opaque to user space.
 */
#ifndef PT_CONNTRACK_H
#define PT_CONNTRACK_H

/*
 * Of struct ip_conntrack_stat (include/linux/netfilter/nf_conntrack_common.h), and of TCP's struct linux_mib
 * (include/net/snmp.h); they wrap.
 */
struct pt_counters {
	unsigned int drop;
	unsigned int insert_failed;
	unsigned int chain_too_long; /* 0 before v5.15, which does not count it */
	unsigned int invalid;
	unsigned int early_drop;
	unsigned int tw_overflow; /* TCPTimeWaitOverflow */
};

/* A namespace: its conntrack table, its TCP. */
struct pt_table_key {
	unsigned long long net; /* its struct net */
	unsigned int hash_mix;	/* drawn for each namespace: the address may be used again */
	unsigned int unused;
};

/* What one CPU has counted in one namespace. All zero: nothing yet. */
struct pt_table {
	struct pt_counters base;      /* when the attach was complete; 0 where the namespace is younger */
	struct pt_counters last;      /* base and what was told since: claimed by a packet, or unclaimed */
	struct pt_counters flushed;   /* at the last walk */
	struct pt_counters unclaimed; /* told, but by no packet */
	unsigned int not_ours;	      /* drops claimed by packets that died of something else */
	unsigned int netns_id;
	unsigned int walk;  /* the last walk that has met the namespace */
	unsigned int known; /* this CPU's base is what it had at the attach */
};

/* Shared state, in one memory-mapped array element. */
struct pt_conntrack {
	/* Found by conntrack_learn. */
	unsigned long long own_net;	/* of the loader */
	unsigned long long host_net;	/* the initial namespace; set by a walk that is complete */
	unsigned long long net_ops;	/* ns.ops of every network namespace */
	unsigned long long max_address; /* nf_conntrack_max; 0 unknown */
	unsigned long long udp_table;	/* where all namespaces share one */
	unsigned long long tcp_hashinfo;
	unsigned long long module; /* conntrack's struct module; 0: it is built in, or not there */
	unsigned int is_there;	   /* conntrack, when it was last asked for */
	unsigned int was_there;	   /* it may have left pointers to counters that it has freed */
	unsigned int count_id;	   /* of struct nf_conntrack_net in net_generic; 0 unknown */
	unsigned int max;	   /* nf_conntrack_max when learnt */

	unsigned int
		tw_overflow;  /* index in struct linux_mib, written by user space before the programs run; 0: none */
	unsigned int tick_ns; /* of a jiffy, likewise */

	/* A walk over the namespaces: where its next run begins, 0 at its end. */
	unsigned long long cursor;
	unsigned long long device;	/* in that namespace, where its devices were too many for one run */
	unsigned int walk;		/* written by user space: the number of the walk, from 1 */
	unsigned int address_walk;	/* likewise, of the addresses */
	unsigned int address_walk_done; /* likewise, the last complete one */
	unsigned int broken;		/* walks that met a namespace in its end */
	unsigned long long entries;	/* in the tables met by this walk of addresses, where the kernel tells */
	unsigned long long users;	/* namespaces met by it whose packets conntrack looks at */
	unsigned int listed; /* tables with entries that it has met; the first PT_USED_TABLES are in pt_used */
	unsigned int padding;

	/* Failures of namespaces that pt_tables had no room for, or of CPUs not watched from the attach on, at most. */
	unsigned long long unwatched;
	unsigned int crowded; /* some namespace found no room at the attach: one that is new may have a history */
	unsigned int started; /* written by user space: the attach is complete */
};

/* One namespace's counters of a CPU that is offline: what conntrack_peek writes. */
struct pt_peek {
	struct pt_table_key key;
	struct pt_counters now;
	unsigned int netns_id;
};
#define PT_PEEK_ROWS 32

/* An address; IPv4 as v4-mapped. In network byte order. */
struct pt_address {
	unsigned long long halves[2];
};

/* The namespace that has an address. */
struct pt_address_owner {
	unsigned long long net;
	unsigned int hash_mix;
	unsigned int walk;    /* the last one that has met it */
	unsigned int several; /* the last one that has met it in more than one namespace */
	unsigned int netns_id;
};

/* A table with entries: what a walk of addresses writes. */
struct pt_used_table {
	unsigned int netns_id;
	unsigned int hash_mix;
	unsigned int entries;
	unsigned int is_host; /* the initial namespace's */
};
#define PT_USED_TABLES 1024

_Static_assert(sizeof(struct pt_table_key) == 16, "pt_table_key");
_Static_assert(sizeof(struct pt_table) == 112, "pt_table");
_Static_assert(sizeof(struct pt_conntrack) == 152, "pt_conntrack");
_Static_assert(sizeof(struct pt_used_table) == 16, "pt_used_table");
_Static_assert(sizeof(struct pt_address_owner) == 24, "pt_address_owner");
_Static_assert(sizeof(struct pt_peek) == 48, "pt_peek");

#endif
