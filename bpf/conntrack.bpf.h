/*
 * Packets that conntrack refuses: the table is full (conntrack_table_full), no free port for a NAT mapping
 * (snat_exhausted), other failures to make or insert an entry (conntrack_insert_failed). IPv4 and IPv6, every protocol,
 * wherever conntrack looks at them: nothing tells their sender.
 *
 * When: as the packet is freed (the kfree_skb tracepoint), beside the kernel's own counters: see table.bpf.h. It needs no
 * part of the conntrack module, which may come later, and go.
 * Not here: packets that rules refuse; invalid ones; evicted entries (evictions.bpf.h).
 */
#ifndef PT_CONNTRACK_BPF_H
#define PT_CONNTRACK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "record.bpf.h"
#include "sender.bpf.h"
#include "table.bpf.h"
#include "tuple.bpf.h"

/*
 * Seconds that an entry would have had left, had it been inserted just now; 0 unknown. Until then its timeout is what is left
 * (__nf_ct_refresh_acct()). A TCP flow that began with something else than a SYN is in another state than those are.
 */
static __always_inline u32 fresh_timeout(struct nf_conn *ct, u8 proto, struct pt_conntrack *state)
{
	if (proto == IPPROTO_TCP && BPF_CORE_READ(ct, proto.tcp.state) != TCP_CONNTRACK_SYN_SENT)
		return 0;
	return (u64)BPF_CORE_READ(ct, timeout) * state->tick_ns / 1000000000;
}

static __always_inline void packet_refused(struct pt_cpu *cpu, struct sk_buff *skb, struct net *net, int claim,
					   struct nf_conn *ct, unsigned long status, struct pt_conntrack *state)
{
	struct pt_key *key = &cpu->key;
	struct pt_detail *detail = &cpu->detail;
	unsigned char *transport = 0;

	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(detail, 0, sizeof(*detail));
	key->netns_id = BPF_CORE_READ(net, ns.inum);
	key->tier = PT_TIER_TRACEPOINT;
	switch (claim) {
	case CLAIM_TABLE_FULL:
		key->kind = PT_KIND_CONNTRACK_TABLE_FULL;
		key->cause = PT_CAUSE_TABLE_FULL;
		detail->limit = table_limit(state);
		break;
	case CLAIM_CLASH:
		key->kind = status & IPS_SRC_NAT ? PT_KIND_SNAT_CLASH : PT_KIND_CONNTRACK_INSERT_FAILED;
		key->cause = PT_CAUSE_RACE;
		break;
	case CLAIM_CHAIN_TOO_LONG:
		key->kind = PT_KIND_CONNTRACK_INSERT_FAILED;
		key->cause = PT_CAUSE_CHAIN_TOO_LONG;
		break;
	case CLAIM_DYING:
		key->kind = PT_KIND_CONNTRACK_INSERT_FAILED;
		key->cause = PT_CAUSE_DYING;
		break;
	default:
		key->kind = PT_KIND_CONNTRACK_INSERT_FAILED;
		key->cause = PT_CAUSE_NO_MEMORY;
		break;
	}
	/* Without an entry no NAT has been at the headers; with one they may be changed already. */
	if (ct)
		fill_entry_tuple(key, detail, ct, status);
	else
		fill_packet_tuple(key, detail, skb, &transport);
	if (key->kind == PT_KIND_SNAT_CLASH)
		detail->fresh_timeout = fresh_timeout(ct, key->proto, state);
	fill_flow_owner((u64)skb, (u64)transport, (u64)net, PROGRAM_CONNTRACK);
	/* What datagram and raw sockets get from an output hook (nf_hook_slow(), NF_DROP_GETERR()). */
	u16 type = BPF_CORE_READ(skb, sk, sk_type);
	if (key->attribution == PT_ATTRIBUTION_SOCKET && key->tgid && key->proto != IPPROTO_TCP &&
	    (type == SOCK_DGRAM || type == SOCK_RAW))
		key->error = EPERM;
	record(key, detail);
}

/*
 * An entry's status, with IPS_CONFIRMED only where the entry is in the table, or was. From v5.19 (1397af5bfd7d) until v6.16
 * (2d72afb34065, also in 6.1.147 and 6.12.40) the bit is set before the insertion, which may fail yet. An entry that never
 * was in a list has no way back in it (__nf_conntrack_alloc()); one that was taken out has a poison there.
 */
static __always_inline unsigned long entry_status(struct nf_conn *ct)
{
	unsigned long status = BPF_CORE_READ(ct, status);

	if (status & IPS_CONFIRMED && !BPF_CORE_READ(ct, tuplehash[0].hnnode.pprev))
		status &= ~(unsigned long)IPS_CONFIRMED;
	return status;
}

/*
 * Whether a packet can have died where its entry is inserted: sent by the opener, and, where there is NAT at all, past both
 * of its kinds, of which the source's comes last. Rules of forward drop new packets before that. A template is no entry.
 */
static __always_inline bool may_be_inserted(unsigned long nfct, unsigned long status)
{
	return (nfct & ~NFCT_PTRMASK) < IP_CT_IS_REPLY && !(status & (IPS_CONFIRMED | IPS_TEMPLATE)) &&
	       (!(status & IPS_DST_NAT_DONE) || status & IPS_SRC_NAT_DONE);
}

static __always_inline bool try_namespace(struct pt_cpu *cpu, struct sk_buff *skb, struct net *net,
					  struct pt_conntrack *state)
{
	unsigned long nfct = BPF_CORE_READ(skb, _nfct), status = 0;
	struct nf_conn *ct = (void *)(nfct & NFCT_PTRMASK);

	if (ct)
		status = entry_status(ct);
	else if (nfct) /* untracked */
		return false;
	if (ct && !(status & IPS_CONFIRMED) && !may_be_inserted(nfct, status))
		return false;
	int made = claim((u64)skb, (u64)net, nfct, status);
	if (made == CLAIM_NOTHING)
		return false;
	if (made != CLAIM_NOT_OURS)
		packet_refused(cpu, skb, net, made, ct, status, state);
	return true;
}

/*
 * The namespace of the table is the device's, the socket's or the route's: at the output of a tunnel's outer packet, or
 * with an Open vSwitch port in another namespace, they differ. In a packet that has not left TCP's queue the device is
 * part of something else, and the namespace read from it is none.
 */
static __always_inline void packet_freed_here(struct pt_cpu *cpu, struct sk_buff *skb)
{
	struct pt_conntrack *state = conntrack_state();
	struct sock *sk = BPF_CORE_READ(skb, sk);
	struct dst_entry *dst = (void *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);
	struct net *nets[3] = {};

	if (!state || !is_ip(skb))
		return;
	nets[0] = BPF_CORE_READ(skb, dev, nd_net.net);
	nets[1] = sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net) : 0;
	nets[2] = dst ? BPF_CORE_READ(dst, dev, nd_net.net) : 0;
	if (nets[0] && try_namespace(cpu, skb, nets[0], state))
		return;
	if (nets[1] && nets[1] != nets[0] && try_namespace(cpu, skb, nets[1], state))
		return;
	if (nets[2] && nets[2] != nets[0] && nets[2] != nets[1])
		try_namespace(cpu, skb, nets[2], state);
}

static __always_inline int packet_freed(struct sk_buff *skb)
{
	struct pt_cpu *cpu = this_cpu();

	if (!cpu || !cpu->armed || cpu->busy)
		return 0;
	cpu->busy = 1;
	barrier();
	packet_freed_here(cpu, skb);
	barrier();
	cpu->busy = 0;
	return 0;
}

/*
 * Whether a received packet's route is known: conntrack looks at it before that, rules of forward and input after it. A tunnel
 * leaves what it knows of the outer packet in that place. Not so with IPsec, where the route stays: such packets are counted
 * without a name.
 */
static __always_inline bool was_routed(struct sk_buff *skb)
{
	struct dst_entry *dst = (void *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);

	return dst && BPF_CORE_READ(skb, skb_iif) && !(BPF_CORE_READ(dst, flags) & DST_METADATA);
}

static __always_inline bool tells_reasons(void)
{
	return bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP);
}

/*
 * Whether conntrack can have been the reason: a hook's verdict, or that of act_ct or Open vSwitch. A packet that comes back
 * from user space (nf_reinject()) has no reason given, nor has one from Open vSwitch before v6.6: these count with an entry.
 */
static __always_inline bool may_be_conntrack(struct sk_buff *skb, u32 reason)
{
	unsigned long nfct = BPF_CORE_READ(skb, _nfct);
	struct nf_conn *ct = (void *)(nfct & NFCT_PTRMASK);

	if (!tells_reasons() || reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP))
		return ct || !was_routed(skb);
	if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED))
		return ct && may_be_inserted(nfct, entry_status(ct));
	return (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_TC_INGRESS) &&
		(reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_TC_INGRESS) ||
		 reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_TC_EGRESS))) ||
	       (bpf_core_enum_value_exists(enum skb_drop_reason_subsys, SKB_DROP_REASON_SUBSYS_OPENVSWITCH) &&
		reason >> SKB_DROP_REASON_SUBSYS_SHIFT ==
			bpf_core_enum_value(enum skb_drop_reason_subsys, SKB_DROP_REASON_SUBSYS_OPENVSWITCH));
}

SEC("raw_tp/kfree_skb")
int conntrack_raw_tp(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	u32 reason = tells_reasons() ? ctx[2] : 0;

	return may_be_conntrack(skb, reason) ? packet_freed(skb) : 0;
}

SEC("tp/skb/kfree_skb")
int conntrack_tp(struct trace_event_raw_kfree_skb *ctx)
{
	struct sk_buff *skb = ctx->skbaddr;
	u32 reason = tells_reasons() ? ctx->reason : 0;

	return may_be_conntrack(skb, reason) ? packet_freed(skb) : 0;
}

/* ---- run by user space (BPF_PROG_TEST_RUN), attached to nothing ---- */

/* Where the variable of an open file of /proc/sys is. */
static __always_inline u64 sysctl_address(u64 descriptor)
{
	struct file___inode *file = (void *)task_file(descriptor);
	struct proc_inode *inode =
		(void *)BPF_CORE_READ(file, f_inode) - bpf_core_field_offset(struct proc_inode, vfs_inode);

	return (u64)BPF_CORE_READ(inode, sysctl_entry, data);
}

#define PT_GENERIC_IDS 128 /* subsystems with data of each namespace; kernels have about 50 */

/* The module whose folder of /sys/module is open; NULL for one that is built in. */
static __always_inline struct module *open_module(u64 descriptor)
{
	struct file___inode *file = (void *)task_file(descriptor);
	struct kernfs_node___priv *node = BPF_CORE_READ(file, f_inode, i_private);
	/* It begins with the folder's kobject. */
	struct module_kobject *kobject = BPF_CORE_READ(node, priv);

	return bpf_core_field_exists(kobject->mod) ? BPF_CORE_READ(kobject, mod) : 0;
}

/*
 * What has no symbol: learnt from files of the loader's own. A UDP and a TCP socket; nf_conntrack_count and
 * nf_conntrack_max of /proc/sys/net/netfilter, 0 where conntrack is not there; its module's folder, 0 where there is none.
 */
SEC("raw_tp")
int BPF_PROG(conntrack_learn, u64 udp, u64 tcp, u64 count, u64 max, u64 module)
{
	struct pt_conntrack *state = conntrack_state();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct net *net = BPF_CORE_READ(task, nsproxy, net_ns);

	if (!state)
		return 1;
	learn_tables(state, udp, tcp);
	state->count_id = state->max = 0;
	state->max_address = 0;
	state->is_there = count && max;
	state->module = module ? (u64)open_module(module) : 0;
	if (!state->is_there)
		return 0;
	state->was_there = 1;
	state->max_address = sysctl_address(max);
	state->max = table_limit(state);

	u64 wanted = sysctl_address(count);
	void *generic = BPF_CORE_READ(net, gen);
	for (u32 id = 1; id < PT_GENERIC_IDS; id++) {
		u64 data = 0;

		bpf_probe_read_kernel(&data, sizeof(data), generic + id * sizeof(u64));
		if (data && data == wanted) {
			state->count_id = id;
			break;
		}
	}
	return 0;
}

/* 0: to be run again, now or where state->cursor is not 0. */
SEC("raw_tp")
int conntrack_counters(void *ctx)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();

	return state && cpu && walk_counters(cpu, state);
}

SEC("raw_tp")
int conntrack_addresses(void *ctx)
{
	struct pt_conntrack *state = conntrack_state();

	if (state)
		walk_addresses(state);
	return 1;
}

/* A file of a network namespace: its hash_mix, which with the inode tells it from all others; 0 where it is none. */
SEC("raw_tp")
int BPF_PROG(conntrack_namespace, u64 descriptor)
{
	struct pt_conntrack *state = conntrack_state();
	struct file___inode *file = (void *)task_file(descriptor);
	struct net *net = BPF_CORE_READ(file, f_inode, i_private) - bpf_core_field_offset(struct net, ns);

	return state && is_net(net, state) ? BPF_CORE_READ(net, hash_mix) : 0;
}

/*
 * An address, IPv4 as v4-mapped, by its halves as they lie in memory. 1: the first of pt_peeks is the namespace that has
 * it, and no other had it at the last walk; 2: likewise, of the host or the loader; else 0.
 */
SEC("raw_tp")
int BPF_PROG(conntrack_whose, u64 first, u64 second)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_address address = {.halves = {first, second}};
	struct pt_address_owner *owner = bpf_map_lookup_elem(&pt_addresses, &address);
	u32 zero = 0;
	struct pt_peek *row = bpf_map_lookup_elem(&pt_peeks, &zero);

	if (!state || !row || !owner || owner->walk < state->address_walk_done ||
	    (owner->several && owner->several >= state->address_walk_done))
		return 0;
	struct net *net = (void *)owner->net;
	u32 mix = BPF_CORE_READ(net, hash_mix);
	if (!is_net(net, state) || mix != owner->hash_mix)
		return 0;
	if (owner->net == state->host_net || owner->net == state->own_net)
		return 2;
	if (!has_address(owner->net, first, second, false))
		return 0;
	row->key.hash_mix = mix;
	row->netns_id = BPF_CORE_READ(net, ns.inum);
	return 1;
}

/* The row of one namespace, empty where it has no counters. */
__noinline int peek(u64 netns, u64 offset, u32 index)
{
	struct net *net = (void *)netns;
	struct pt_peek *row = bpf_map_lookup_elem(&pt_peeks, &index);

	struct pt_conntrack *state = conntrack_state();

	if (!row || !state)
		return 0;
	__builtin_memset(row, 0, sizeof(*row));
	read_all_counters(net, offset, &row->now, state);
	fill_table_key(&row->key, net);
	row->netns_id = BPF_CORE_READ(net, ns.inum);
	return 0;
}

/* The counters of a CPU that is offline, by its offset: as many rows as it returns, from state->cursor on. */
SEC("raw_tp")
int BPF_PROG(conntrack_peek, u64 offset)
{
	struct pt_conntrack *state = conntrack_state();
	u32 rows = 0;

	if (!state || !goes_on(state))
		return 0;
	u64 net = state->cursor ? state->cursor : state->own_net;
	for (; rows < PT_PEEK_ROWS && net; rows++) {
		peek(net, offset, rows);
		net = next_net(net);
	}
	state->cursor = net;
	return rows;
}

#endif
