/* The maps of the census of ports, shared by the objects like those of maps.bpf.h. */
#ifndef PT_CENSUS_MAPS_BPF_H
#define PT_CENSUS_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "pt_census.h"

/* 0 → struct pt_census, mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pt_census);
} pt_census SEC(".maps");

/*
 * Owner, addresses and port → sockets: kind `ports`. Inserted by census_walk, drained and emptied by user space at a
 * census' end. Preallocated: 32,768 * (64 + 32 + 48) bytes, 4.7 MB. Full: a new key is folded to its owner and namespace, in
 * pt_census_owners. A destination with many sockets is met early in a walk, as they lie all over the table, and counted
 * whole from then on: what is folded are the small ones. While the processes of a few resources are looked for it has the
 * ports that were met (PT_CENSUS_MET): full, further ones are not counted, and pt_census.uncounted tells.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_CENSUS_MAX_KEYS);
	__type(key, struct pt_census_key);
	__type(value, struct pt_census_count);
} pt_census_keys SEC(".maps");

/* Owner and namespace → count, of the other kinds and of what is folded. Likewise. Full: pt_census.uncounted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_CENSUS_MAX_OWNERS);
	__type(key, struct pt_census_key);
	__type(value, struct pt_census_count);
} pt_census_owners SEC(".maps");

/*
 * struct net → what is in force there, and its sums. Inserted by census_nets, or by census_walk for one that is younger;
 * drained and emptied by user space. Full: pt_census.lost_nets.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_CENSUS_MAX_NETS);
	__type(key, u64);
	__type(value, struct pt_census_net);
} pt_census_nets SEC(".maps");

/* Bytes of a socket or bucket that are read: all that is wanted of struct sock_common, or struct inet_bind_bucket. */
#define PT_CENSUS_BYTES 128
#define PT_CENSUS_GATHERED 32 /* sockets that are read before they are counted */
#define PT_CENSUS_HEADS 16    /* buckets that are looked at in one step */
#define PT_CENSUS_SEEN 1024   /* UDP ports of one slot that are told apart */

struct census_object {
	u64 address;
	u8 bytes[PT_CENSUS_BYTES];
};
struct census_seen {
	u64 net;
	u32 port;
	u32 slot; /* the number of the slot that it was met in, from 1 */
};

/* Where the census is, in memory that its functions share and the verifier does not follow. It runs once at a time. */
struct census_place {
	u64 heads[PT_CENSUS_HEADS];
	u64 node; /* the next of the chain */
	u32 gathered;
	u32 unreadable; /* the chain led to nowhere: it changed */
	u32 slot;
	u32 unused;
	u64 task; /* whose open file is looked at */
	u64 file;
	struct pt_census_key key;
	struct pt_census_count count;
	struct pt_census_net net;
	struct census_object objects[PT_CENSUS_GATHERED];
	struct census_seen seen[PT_CENSUS_SEEN];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct census_place);
} pt_census_place SEC(".maps");

static __always_inline struct pt_census *census_state(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&pt_census, &zero);
}

static __always_inline struct census_place *census_place(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&pt_census_place, &zero);
}

#endif
