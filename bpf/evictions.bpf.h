/*
 * Entries that conntrack evicts to make room (conntrack_evicted), with the owner of the evicted flow.
 *
 * When: nf_ct_delete() of a living entry inside early_drop(), told when early_drop() says that it has dropped one.
 * Both are the module's: the hooks come and go with it. What they do not see, the early_drop counter tells.
 */
#ifndef PT_EVICTIONS_BPF_H
#define PT_EVICTIONS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "record.bpf.h"
#include "sender.bpf.h"
#include "table.bpf.h"
#include "tuple.bpf.h"

#define PT_MAX_EVICTED 16 /* of one call that are told with their owner, a power of two */

/*
 * Task, or CPU where none runs → the entries that its early_drop() has deleted so far. Begun at entry, told and removed at
 * return; what a return that was skipped has left is begun anew by the next entry. LRU: drops those of tasks long gone.
 */
struct pt_evicted {
	struct pt_key key;
	struct pt_detail detail;
};
struct pt_early_drop {
	struct net *net;	  /* its argument */
	struct nf_conn *deleting; /* the argument of nf_ct_delete(), from its entry to its return */
	u32 count;
	u32 unused;
	struct pt_evicted evicted[PT_MAX_EVICTED];
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u64);
	__type(value, struct pt_early_drop);
} pt_early_drops SEC(".maps");

/* An empty one, too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct pt_early_drop);
} pt_no_early_drop SEC(".maps");

static __always_inline u64 running(void)
{
	u64 task = bpf_get_current_pid_tgid();

	return task ? task : 1ULL << 63 | bpf_get_smp_processor_id();
}

static __always_inline struct pt_early_drop *early_drop_under_way(void)
{
	u64 task = running();

	return bpf_map_lookup_elem(&pt_early_drops, &task);
}

static __always_inline int early_drop_begins(struct net *net)
{
	u64 task = running();
	u32 zero = 0;
	struct pt_early_drop *none = bpf_map_lookup_elem(&pt_no_early_drop, &zero), *begun;
	struct pt_cpu *cpu = this_cpu();

	/* Not armed: what this call evicts may be in the base. */
	if (!none || !cpu || !cpu->armed)
		return 0;
	bpf_map_update_elem(&pt_early_drops, &task, none, BPF_ANY);
	begun = bpf_map_lookup_elem(&pt_early_drops, &task);
	if (begun)
		begun->net = net;
	return 0;
}

/* Whether the entry had run out: early_drop() removes such ones on its way, and does not count them. */
static __always_inline bool is_expired(struct nf_conn *ct)
{
	return (s32)(BPF_CORE_READ(ct, timeout) - (u32)bpf_jiffies64()) <= 0;
}

static __always_inline int entry_deleted(struct nf_conn *ct, enum pt_tier tier)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct pt_early_drop *drop = early_drop_under_way();

	if (!drop || !state || !cpu || cpu->busy || is_expired(ct))
		return 0;
	u32 index = drop->count;
	if (index >= PT_MAX_EVICTED)
		return 0;
	struct pt_key *key = &cpu->key;
	struct pt_detail *detail = &cpu->detail;
	struct net *net = BPF_CORE_READ(ct, ct_net.net);
	unsigned long status = BPF_CORE_READ(ct, status);

	/* A packet that came in between may delete another one on this CPU: early_drop() takes only such ones. */
	if (net != drop->net || status & IPS_ASSURED)
		return 0;
	cpu->busy = 1;
	barrier();
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(detail, 0, sizeof(*detail));
	key->kind = PT_KIND_CONNTRACK_EVICTED;
	key->cause = PT_CAUSE_TABLE_FULL;
	key->tier = tier;
	key->netns_id = BPF_CORE_READ(net, ns.inum);
	detail->limit = table_limit(state);
	fill_entry_tuple(key, detail, ct, status);
	fill_flow_owner(0, 0, (u64)net, PROGRAM_EVICTION);
	barrier_var(index); /* what the verifier knew of it did not survive the stack */
	struct pt_evicted *evicted = &drop->evicted[index & (PT_MAX_EVICTED - 1)];
	evicted->key = *key;
	evicted->detail = *detail;
	barrier();
	cpu->busy = 0;
	drop->count = index + 1;
	return 0;
}

/* Their table's counter has moved by as many, at least. */
static __always_inline void claim_evictions(struct net *net, u32 count)
{
	struct pt_table_key key;

	fill_table_key(&key, net);
	struct pt_table *table = bpf_map_lookup_elem(&pt_tables, &key);
	if (!table)
		table = new_table(&key, net);
	if (table)
		__sync_fetch_and_add(&table->last.early_drop, count);
}

/* One of those that this task's early_drop() has deleted. */
__noinline int record_evicted(u32 index)
{
	struct pt_early_drop *drop = early_drop_under_way();

	if (!drop)
		return 0;
	struct pt_evicted *evicted = &drop->evicted[index & (PT_MAX_EVICTED - 1)];
	record(&evicted->key, &evicted->detail);
	return 0;
}

static __always_inline int early_drop_ends(bool dropped)
{
	u64 task = running();
	struct pt_early_drop *drop = early_drop_under_way();

	if (!drop)
		return 0;
	u32 count = drop->count;
	if (dropped && count) {
		for (u32 i = 0; i < PT_MAX_EVICTED && i < count; i++)
			record_evicted(i);
		claim_evictions(drop->net, count);
	}
	bpf_map_delete_elem(&pt_early_drops, &task);
	return 0;
}

SEC("fentry/early_drop")
int BPF_PROG(evictions_begin_fentry, struct net *net)
{
	return early_drop_begins(net);
}

SEC("fexit/nf_ct_delete")
int BPF_PROG(evictions_deleted_fexit, struct nf_conn *ct, u32 portid, int report, bool deleted)
{
	return deleted ? entry_deleted(ct, PT_TIER_FENTRY) : 0;
}

SEC("fexit/early_drop")
int BPF_PROG(evictions_end_fexit, struct net *net, unsigned int hash, int dropped)
{
	return early_drop_ends((u8)dropped);
}

SEC("kprobe")
int BPF_KPROBE(evictions_begin_entry, struct net *net)
{
	return early_drop_begins(net);
}

SEC("kprobe")
int BPF_KPROBE(evictions_deleting_entry, struct nf_conn *ct)
{
	struct pt_early_drop *drop = early_drop_under_way();

	if (drop)
		drop->deleting = ct;
	return 0;
}

SEC("kretprobe")
int BPF_KRETPROBE(evictions_deleted_return, int deleted)
{
	struct pt_early_drop *drop = early_drop_under_way();
	struct nf_conn *ct = drop ? drop->deleting : 0;

	if (!ct)
		return 0;
	drop->deleting = 0;
	return (u8)deleted ? entry_deleted(ct, PT_TIER_KPROBE) : 0;
}

SEC("kretprobe")
int BPF_KRETPROBE(evictions_end_return, int dropped)
{
	return early_drop_ends((u8)dropped);
}

#endif
