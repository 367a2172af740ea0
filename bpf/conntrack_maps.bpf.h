/* The maps of the conntrack programs, shared by their objects like those of maps.bpf.h. */
#ifndef PT_CONNTRACK_MAPS_BPF_H
#define PT_CONNTRACK_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "pt_conntrack.h"
#include "pt_wire.h"

/* 0 → struct pt_conntrack, mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pt_conntrack);
} pt_conntrack SEC(".maps");

/* A place in a namespace's devices and their addresses, and the address last met. */
struct address_cursor {
	struct net_device *device;
	struct in_ifaddr *v4;
	struct list_head *v6, *v6_end;
	struct pt_address address;
};

/* Sockets of a port. */
struct senders {
	struct sock *only; /* the one that fits; connected ones before others */
	struct kernfs_node *cgroup;
	u32 fitting;
	u32 connected;
	u32 mixed;		   /* not all of one cgroup */
	struct hlist_node *node;   /* where the walk is: a socket's */
	struct hlist_node *second; /* TCP: the next second bucket's */
	struct hlist_node *bucket; /* TCP: the next bucket's */
};

/*
 * What a CPU's run of these programs needs, in memory that their functions share and the verifier does not follow. A run that
 * finds `busy` set has interrupted another one: it leaves at once and touches nothing, as what it would do can be done later.
 * So busy is all the exclusion that the rest needs; 5.10 has no other for these programs.
 */
struct pt_cpu {
	u64 offset; /* of this CPU's variables from a per-CPU pointer */
	u32 busy;
	u32 armed; /* every namespace's base is known */
	struct pt_key key;
	struct pt_detail detail;
	struct pt_address address; /* whose namespace is sought */
	struct senders senders;
	struct address_cursor cursor;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct pt_cpu);
} pt_cpus SEC(".maps");

/*
 * Namespace → what each CPU has counted in its table. Only namespaces with something counted are there, whoever meets
 * them first; removed by user space when the namespace has gone. Its size is set by the loader. Full: a namespace that
 * finds no room is not watched, and its packets are counted in pt_conntrack.unwatched.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct pt_table_key);
	__type(value, struct pt_table);
} pt_tables SEC(".maps");

/*
 * Address (IPv4 as v4-mapped) → the namespace that has it. Written by conntrack_addresses, read by the packets' programs.
 * LRU: what no namespace has any more goes when room is needed, and is told by its walk until then.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pt_address);
	__type(value, struct pt_address_owner);
} pt_addresses SEC(".maps");

/* The place of conntrack_addresses, which runs once at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct address_cursor);
} pt_place SEC(".maps");

/* The tables with entries, in the order of the walk of conntrack_addresses, which writes them; mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_USED_TABLES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pt_used_table);
} pt_used SEC(".maps");

/* Where conntrack_peek leaves what it has read, for the run's end. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_PEEK_ROWS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pt_peek);
} pt_peeks SEC(".maps");

static __always_inline struct pt_conntrack *conntrack_state(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&pt_conntrack, &zero);
}

static __always_inline struct pt_cpu *this_cpu(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&pt_cpus, &zero);
}

#endif
