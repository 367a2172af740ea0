/*
 * Every map that the hooks share. Each object declares them all; maps.bpf.c creates them and the loader
 * makes the others use those (bpf_map__reuse_fd).
 *
 * Counting never drops a failure: a key that finds no room in `counts` goes to a shorter key in `folded`,
 * and from there to `other`, an array, which cannot be full. Each exists twice; the lowest bit of
 * pt_control.generation says which one counts while user space drains the other.
 */
#ifndef PT_MAPS_BPF_H
#define PT_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "pt_wire.h"

/*
 * key → failures and the first one's detail. Inserted by record(); drained and emptied by user space each
 * interval, when no program can see this generation any more. Preallocated: 32,768 * (72 + 64 + 48) bytes,
 * 6 MB each. Full: see `folded`.
 */
struct pt_counts_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_MAX_KEYS);
	__type(key, struct pt_key);
	__type(value, struct pt_count);
} pt_counts_0 SEC(".maps"), pt_counts_1 SEC(".maps");

/*
 * generation & 1 → its map. Written by nobody but libbpf; but updating an element, even to the same value,
 * returns only when no running program can hold the map that it read before (kernel v4.20: 1ae80cf31938
 * ("bpf: wait for running BPF programs when updating map-in-map")). User space uses that as its barrier
 * between a switch of generation and the draining.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct pt_counts_map);
} pt_counts SEC(".maps") = {.values = {&pt_counts_0, &pt_counts_1}};

/* The same for keys cut down to kind, cause, cgroup, netns, proto, tier and attribution. Full: see `other`. */
struct pt_folded_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_MAX_FOLDED);
	__type(key, struct pt_key);
	__type(value, struct pt_count);
} pt_folded_0 SEC(".maps"), pt_folded_1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct pt_folded_map);
} pt_folded SEC(".maps") = {.values = {&pt_folded_0, &pt_folded_1}};

/* (generation & 1) * PT_KIND_END + kind → failures that found no room anywhere else. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * PT_KIND_END);
	__type(key, u32);
	__type(value, struct pt_count);
} pt_other SEC(".maps");

/* 0 → struct pt_control, mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pt_control);
} pt_control SEC(".maps");

/*
 * Samples, struct pt_sample. Reserved and submitted by record(), consumed by user space as they come. Its size is
 * set by the loader. Full: the sample is not sent and counted in pt_control.ring_lost; the failure itself is in
 * the counts, and is reported with them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} pt_samples SEC(".maps");

/*
 * cgroup id → its names from the cgroup itself up to the root's child, each NUL-terminated, ended by an empty
 * one. Inserted at a failure of a cgroup that it lacks, read by user space once a cgroup: so a cgroup keeps its path
 * although it has gone by then. LRU: the path of one that has not failed for long may be written again.
 */
struct pt_cgroup_names {
	char names[PT_CGROUP_PATH_LEN];
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, struct pt_cgroup_names);
} pt_cgroups SEC(".maps");

/* 0 → struct pt_state_filter, mapped by user space, which writes it before the programs are attached. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pt_state_filter);
} pt_state_filter SEC(".maps");

/*
 * Cgroup id → 1: the filter options reject whatever it does. Written by user space when it has rejected one. LRU: one
 * that has no room is filtered by user space again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u8);
} pt_rejected SEC(".maps");

#endif
