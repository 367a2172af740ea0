/*
 * Conntrack's own counters, and TCP's of TIME_WAIT sockets that could not be made (time_wait.bpf.h), per namespace and
 * CPU, beside what was told of them. Conntrack adds 1 and returns NF_DROP;
 * the packet is freed next on that CPU. So where a packet is freed and the counters stand higher than what was told,
 * that packet, if it is one that conntrack could have refused, is told: it claims one. What nobody has claimed within
 * two walks of user space is told without a packet. So the sum of what is told is always the counters' movement.
 *
 * Only these programs move what was told, and one at a time on a CPU (pt_cpu.busy).
 */
#ifndef PT_TABLE_BPF_H
#define PT_TABLE_BPF_H

#include <bpf/bpf_core_read.h>
#include "address_walk.bpf.h"
#include "conntrack_maps.bpf.h"
#include "counters.bpf.h"
#include "netfilter.h"
#include "tuple.bpf.h"

static __always_inline void fill_table_key(struct pt_table_key *key, struct net *net)
{
	key->net = (u64)net;
	key->hash_mix = BPF_CORE_READ(net, hash_mix);
	key->unused = 0;
}

/* A namespace that is not there yet. One that had counted anything at the attach is: so this one begins at 0. */
static __always_inline struct pt_table *new_table(const struct pt_table_key *key, struct net *net)
{
	struct pt_conntrack *state = conntrack_state();
	/* Met just now, so that user space does not take it for one that has gone. */
	struct pt_table zero = {.netns_id = BPF_CORE_READ(net, ns.inum), .walk = state ? state->walk : 0};

	bpf_map_update_elem(&pt_tables, key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&pt_tables, key);
}

/* A namespace's; `make`: where it is not there yet, a new one, NULL if there is no room for it. */
static __always_inline struct pt_table *table_of(struct net *net, bool make)
{
	struct pt_table_key key;

	fill_table_key(&key, net);
	struct pt_table *table = bpf_map_lookup_elem(&pt_tables, &key);
	return table || !make ? table : new_table(&key, net);
}

static __always_inline u32 ahead(u32 now, u32 before)
{
	return (s32)(now - before) > 0 ? now - before : 0;
}

static __always_inline void give_up(u32 *unclaimed, u32 *last, u32 flushed)
{
	u32 left = ahead(flushed, *last);

	*unclaimed += left;
	*last += left;
}

/* What was there at the last walk and nobody has claimed. */
static __always_inline void give_up_all(struct pt_table *table)
{
	give_up(&table->unclaimed.drop, &table->last.drop, table->flushed.drop);
	give_up(&table->unclaimed.insert_failed, &table->last.insert_failed, table->flushed.insert_failed);
	give_up(&table->unclaimed.chain_too_long, &table->last.chain_too_long, table->flushed.chain_too_long);
	give_up(&table->unclaimed.tw_overflow, &table->last.tw_overflow, table->flushed.tw_overflow);
}

/*
 * The module has gone, or is back and counts from 0. What it had counted stays counted. Evictions may be counted on another
 * CPU than they were claimed on, so what is ahead of either stays so.
 */
static __always_inline void restart(struct pt_table *table)
{
	u32 early_drop = table->flushed.early_drop, overflows = table->flushed.tw_overflow; /* TCP's go on */

	give_up_all(table);
	table->base.drop -= table->last.drop;
	table->base.insert_failed -= table->last.insert_failed;
	table->base.early_drop -= early_drop;
	table->last = (struct pt_counters){.early_drop = table->last.early_drop - early_drop,
					   .tw_overflow = table->last.tw_overflow};
	table->flushed = (struct pt_counters){.tw_overflow = overflows};
}

/* Lower than before: the module was unloaded and is back. */
static __always_inline void restart_if_lower(struct pt_table *table, const struct pt_counters *now, u32 early_drop)
{
	if ((s32)(now->drop - table->last.drop) < 0 || (s32)(now->insert_failed - table->last.insert_failed) < 0 ||
	    (s32)(early_drop - table->flushed.early_drop) < 0)
		restart(table);
}

/* A table that may have a history begins with what it has now. */
static __always_inline int begin_now(struct pt_table *table, const struct pt_counters *now, struct pt_conntrack *state)
{
	table->base = table->last = table->flushed = *now;
	table->known = 1;
	__sync_fetch_and_add(&state->unwatched, 1);
	return 0;
}

/* What became of a packet. */
enum claim {
	CLAIM_NOTHING,
	CLAIM_NOT_OURS,
	CLAIM_TABLE_FULL,
	CLAIM_NO_MEMORY,
	CLAIM_CLASH,
	CLAIM_CHAIN_TOO_LONG,
	CLAIM_DYING,
};

/*
 * drop alone, and no entry: the table is full, or, where it has room, the entry's memory was refused, or the packet is a SYN
 * that was to open a flow anew while somebody else was removing the old entry: nf_conntrack_tcp_packet() then refuses it, and
 * it counts as invalid too. resolve_normal_ct() and its caller, net/netfilter/nf_conntrack_core.c. A table at three quarters
 * is full: entries may have gone since.
 */
static __always_inline enum claim judge_without_entry(struct net *net, bool was_invalid, struct sk_buff *skb,
						      struct pt_conntrack *state)
{
	u32 limit = table_limit(state);
	s64 entries = table_entries(net, state);

	if (!state->max_address || entries < 0 || (limit && entries * 4 >= (s64)limit * 3))
		return CLAIM_TABLE_FULL;
	return was_invalid && is_syn(skb) ? CLAIM_NOT_OURS : CLAIM_NO_MEMORY;
}

/* The claim, an enum claim, of a packet with `_nfct` on the counters of one namespace. */
__noinline int claim(u64 packet, u64 netns, u64 nfct, u64 status)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct net *net = (void *)netns;
	struct pt_counters now = {};
	struct pt_table_key key;

	if (!state || !cpu)
		return CLAIM_NOTHING;
	u64 offset = cpu->offset;
	if (!read_counters(net, offset, &now, state) || (!now.drop && !now.insert_failed))
		return CLAIM_NOTHING;
	fill_table_key(&key, net);
	struct pt_table *table = bpf_map_lookup_elem(&pt_tables, &key);
	if (!table) {
		if (!is_net(net, state))
			return CLAIM_NOTHING;
		table = new_table(&key, net);
		if (!table) {
			__sync_fetch_and_add(&state->unwatched, 1);
			return CLAIM_NOTHING;
		}
	}
	if (state->crowded && !table->known) {
		read_all_counters(net, offset, &now, state);
		return begin_now(table, &now, state);
	}
	restart_if_lower(table, &now, table->flushed.early_drop);
	table->netns_id = BPF_CORE_READ(net, ns.inum);
	bool was_invalid = now.invalid != table->last.invalid; /* some packet since the last one that came here */
	table->last.invalid = now.invalid;

	u32 drop = now.drop - table->last.drop, insert_failed = now.insert_failed - table->last.insert_failed;
	if (!nfct) {
		/* A clash counts as both: as many drops wait for a packet with an entry. */
		if (drop <= insert_failed)
			return CLAIM_NOTHING;
		enum claim judged = judge_without_entry(net, was_invalid, (void *)packet, state);
		table->last.drop++;
		if (judged == CLAIM_NOT_OURS)
			table->not_ours++;
		return judged;
	}
	if (status & IPS_CONFIRMED) {
		/* nf_confirm(): the sequence numbers could not be adjusted. */
		if (!(status & IPS_SEQ_ADJUST) || drop <= insert_failed)
			return CLAIM_NOTHING;
		table->last.drop++;
		table->not_ours++;
		return CLAIM_NOT_OURS;
	}
	if (!insert_failed)
		return CLAIM_NOTHING;
	read_other_counters(net, offset, &now);
	bool chain = now.chain_too_long != table->last.chain_too_long;
	table->last.insert_failed++;
	if (drop && !(chain && insert_failed > drop)) {
		table->last.drop++;
		return CLAIM_CLASH;
	}
	if (chain) {
		table->last.chain_too_long++;
		return CLAIM_CHAIN_TOO_LONG;
	}
	return CLAIM_DYING;
}

/* Claims a TIME_WAIT socket that could not be made; false: the counter of this CPU and namespace has none left. */
__noinline int claim_overflow(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct net *net = (void *)netns;
	struct pt_counters now = {};

	if (!state || !cpu)
		return false;
	u32 overflows = read_overflows(net, cpu->offset, state);
	if (!overflows)
		return false;
	struct pt_table *table = table_of(net, true);
	if (!table) {
		__sync_fetch_and_add(&state->unwatched, 1);
		return false;
	}
	if (state->crowded && !table->known) {
		read_all_counters(net, cpu->offset, &now, state);
		return begin_now(table, &now, state);
	}
	if (!ahead(overflows, table->last.tw_overflow))
		return false;
	table->last.tw_overflow++;
	table->netns_id = BPF_CORE_READ(net, ns.inum);
	return true;
}

/* One namespace of a walk, on this CPU. */
__noinline int walk_counters_of(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct net *net = (void *)netns;
	struct pt_counters now = {};

	if (!state || !cpu)
		return 0;
	if (!state->is_there && BPF_CORE_READ(net, ct.stat))
		state->was_there = 1;
	bool is_tracked = read_all_counters(net, cpu->offset, &now, state);
	bool has_counted = now.drop || now.insert_failed || now.early_drop || now.tw_overflow;
	struct pt_table *table = table_of(net, has_counted);
	if (!table) {
		state->crowded |= has_counted && !cpu->armed;
		return 0;
	}
	table->netns_id = BPF_CORE_READ(net, ns.inum);
	table->walk = state->walk;
	if (!cpu->armed) {
		table->base = table->last = table->flushed = now;
		table->known = 1;
		/* It was offline at the attach: what it has counted since is not known. */
		if (state->started)
			__sync_fetch_and_add(&state->unwatched, now.drop + now.insert_failed + now.tw_overflow);
		return 0;
	}
	if (state->crowded && !table->known)
		return begin_now(table, &now, state);
	if (is_tracked) {
		restart_if_lower(table, &now, now.early_drop);
		give_up_all(table);
		table->flushed = now;
		table->last.invalid = now.invalid;
	} else {
		restart(table);
		table->flushed.tw_overflow = now.tw_overflow;
	}
	return 0;
}

#define PT_WALK_NETS 32 /* namespaces of one run */

/*
 * One run of conntrack_counters, on the CPU whose counters are meant: from state->cursor as far as it gets. A CPU's first
 * complete walk arms it. False, and nothing done, where it has interrupted another run.
 */
static __always_inline bool walk_counters(struct pt_cpu *cpu, struct pt_conntrack *state)
{
	u64 net = state->cursor ? state->cursor : state->own_net;
	u32 broken = state->broken;

	if (cpu->busy)
		return false;
	if (!goes_on(state))
		return true;
	cpu->offset = cpu_offset(cpu);
	for (int i = 0; i < PT_WALK_NETS; i++) {
		cpu->busy = 1;
		barrier();
		walk_counters_of(net);
		barrier();
		cpu->busy = 0;
		net = next_net(net);
		if (!net) {
			if (state->broken == broken)
				cpu->armed = 1;
			break;
		}
	}
	state->cursor = net;
	return true;
}

#endif
