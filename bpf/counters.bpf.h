/*
 * Reading the kernel's own counters of a namespace and CPU: conntrack's, which come and go with its module, and TCP's of
 * TIME_WAIT sockets that could not be made. What becomes of them: table.bpf.h.
 */
#ifndef PT_COUNTERS_BPF_H
#define PT_COUNTERS_BPF_H

#include <bpf/bpf_core_read.h>
#include "conntrack_maps.bpf.h"
#include "netfilter.h"

/* This CPU's offset without a symbol: where an element of a per-CPU array is, less where its per-CPU pointer leads. */
static __always_inline u64 as_number(void *pointer)
{
	void *volatile slot = pointer;
	u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), (void *)&slot);
	return number;
}

static __always_inline u64 cpu_offset(struct pt_cpu *cpu)
{
	u64 base = 0;

	bpf_probe_read_kernel(&base, sizeof(base),
			      (void *)as_number(&pt_cpus) + bpf_core_field_offset(struct bpf_array, pptrs));
	return as_number(cpu) - base;
}

/*
 * Whether conntrack's module is there. When it goes it frees the counters, and leaves each namespace's pointer to them: what
 * is there afterwards is somebody else's. It is MODULE_STATE_GOING (delete_module()) before its cleanup waits for all that
 * runs under RCU, as these programs do (nf_conntrack_cleanup_net_list()): what the run has read that finds it alive is right.
 */
static __always_inline bool is_conntrack_alive(struct pt_conntrack *state)
{
	struct module *module = (void *)state->module;
	u32 phase = MODULE_STATE_LIVE;

	if (!state->is_there)
		return !state->was_there;
	if (module && bpf_core_field_exists(module->state) && bpf_core_read(&phase, sizeof(phase), &module->state))
		return false; /* its memory has gone with it */
	return phase == MODULE_STATE_LIVE;
}

/* False where conntrack is not there. */
static __always_inline bool read_counters(struct net *net, u64 offset, struct pt_counters *now,
					  struct pt_conntrack *state)
{
	struct ip_conntrack_stat *stat = BPF_CORE_READ(net, ct.stat);

	if (!stat || !is_conntrack_alive(state))
		return false;
	stat = (void *)stat + offset;
	now->drop = BPF_CORE_READ(stat, drop);
	now->insert_failed = BPF_CORE_READ(stat, insert_failed);
	now->invalid = BPF_CORE_READ(stat, invalid);
	return true;
}

static __always_inline void read_other_counters(struct net *net, u64 offset, struct pt_counters *now)
{
	struct ip_conntrack_stat *stat = (void *)BPF_CORE_READ(net, ct.stat) + offset;

	now->early_drop = BPF_CORE_READ(stat, early_drop);
	now->chain_too_long = bpf_core_field_exists(stat->chaintoolong) ? BPF_CORE_READ(stat, chaintoolong) : 0;
}

/* TCPTimeWaitOverflow; it wraps like the others. */
static __always_inline u32 read_overflows(struct net *net, u64 offset, struct pt_conntrack *state)
{
	struct linux_mib *mib = BPF_CORE_READ(net, mib.net_statistics);
	unsigned long count = 0;

	if (mib && state->tw_overflow)
		bpf_probe_read_kernel(&count, sizeof(count), (void *)mib + offset + state->tw_overflow * sizeof(count));
	return count;
}

/* All of them; false where conntrack is not there, whose own are 0 then. */
static __always_inline bool read_all_counters(struct net *net, u64 offset, struct pt_counters *now,
					      struct pt_conntrack *state)
{
	bool is_tracked = read_counters(net, offset, now, state);

	if (is_tracked)
		read_other_counters(net, offset, now);
	now->tw_overflow = read_overflows(net, offset, state);
	return is_tracked;
}

/* nf_conntrack_max, 0 where it is not known. */
static __always_inline u32 table_limit(struct pt_conntrack *state)
{
	u32 limit = 0;

	bpf_probe_read_kernel(&limit, sizeof(limit), (void *)state->max_address);
	return limit;
}

#endif
