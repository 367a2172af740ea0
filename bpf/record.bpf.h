/*
 * One failure into the maps: record() counts it exactly and, when it is the first of its key in this interval, sends a sample. A
 * change of state that the ring takes is nowhere else, so that many leave the maps to failures. User space picks up in
 * PortTraceProbes/FailureRecords.swift.
 */
#ifndef PT_RECORD_BPF_H
#define PT_RECORD_BPF_H

#include "maps.bpf.h"

/* The counter of a key, inserted where it is new (*fresh); NULL where there is no room. */
static __always_inline struct pt_count *counter(void *map, const struct pt_key *key, const struct pt_detail *detail,
						bool *fresh)
{
	struct pt_count *count = bpf_map_lookup_elem(map, key);
	struct pt_count zero = {};

	if (count)
		return count;
	zero.detail = *detail;
	/* Fails with EEXIST where another CPU was faster: its element is found then. */
	*fresh = bpf_map_update_elem(map, key, &zero, BPF_NOEXIST) == 0;
	return bpf_map_lookup_elem(map, key);
}

static __always_inline bool send_sample(const struct pt_key *key, const struct pt_detail *detail, u64 now,
					u32 generation)
{
	struct pt_sample *sample = bpf_ringbuf_reserve(&pt_samples, sizeof(*sample), 0);

	if (!sample)
		return false;
	sample->key = *key;
	sample->detail = *detail;
	sample->time_ns = now;
	sample->generation = generation;
	sample->unused = 0;
	bpf_ringbuf_submit(sample, 0);
	return true;
}

static __always_inline void record(struct pt_key *key, const struct pt_detail *detail)
{
	u32 zero = 0;
	struct pt_control *control = bpf_map_lookup_elem(&pt_control, &zero);
	if (!control)
		return;

	u64 now = bpf_ktime_get_ns();
	u32 generation = *(volatile u32 *)&control->generation, half = generation & 1;
	bool fresh = false, each = control->each, is_state = key->kind == PT_KIND_TCP_STATE;

	if (is_state) {
		if (send_sample(key, detail, now, generation))
			return;
		__sync_fetch_and_add(&control->ring_lost, 1);
	}
	struct pt_key folded = {
		.cgroup_id = key->cgroup_id,
		.netns_id = key->netns_id,
		.kind = key->kind,
		.cause = key->cause,
		.proto = key->proto,
		.tier = key->tier,
		.attribution = key->attribution,
		.flags = PT_FLAG_FOLDED,
	};
	const struct pt_key *counted = key;
	struct pt_count *count = 0;
	void *map = bpf_map_lookup_elem(&pt_counts, &half);

	if (map)
		count = counter(map, key, detail, &fresh);
	if (!count) {
		counted = &folded;
		map = bpf_map_lookup_elem(&pt_folded, &half);
		if (map)
			count = counter(map, &folded, detail, &fresh);
	}
	if (!count) {
		u32 index = half * PT_KIND_END + key->kind;
		count = bpf_map_lookup_elem(&pt_other, &index);
		if (!count)
			return; /* not reached: the index is within the array */
		fresh = false;
	}
	__sync_fetch_and_add(&count->count, 1);
	__sync_fetch_and_add(&control->recorded, 1);
	if ((fresh || each) && !is_state) {
		/* With --each the ring has all of the failure, also where its key was folded. */
		if (send_sample(each ? key : counted, detail, now, generation)) {
			__sync_fetch_and_add(&count->sampled, 1);
			return;
		}
		__sync_fetch_and_add(&control->ring_lost, 1);
	}
	/* Two CPUs may both be first here: the times are off by their distance, and the detail may
	 * mix two threads of one process. */
	if (!count->rest_first_ns) {
		count->rest_first_ns = now;
		count->detail = *detail;
	}
	count->rest_last_ns = now;
}

#endif
