/*
 * connect() that finds no source port (connect_exhausted) or whose bound port's 4-tuple is taken
 * (connect_conflict); EADDRNOTAVAIL either way. TCP over IPv4 and IPv6, MPTCP's subflows included.
 *
 * When: at the return of inet_hash_connect() and inet6_hash_connect(), where state, addresses and namespace are
 * still intact (after connect() they are gone); or, where these cannot be hooked, at the state changes around them.
 * Not here: connects that fail otherwise (refused, unreachable, ENOMEM), UDP (bind.bpf.h).
 * The loader attaches one of the four variants (PortTraceProbes/ProbePlan.swift).
 */
#ifndef PT_CONNECT_BPF_H
#define PT_CONNECT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "record.bpf.h"
#include "socket.bpf.h"
#include "owner.bpf.h"
#include "stash.bpf.h"

/* port: the one that the socket was bound to before the search, 0 where the kernel was to choose it. */
static __always_inline void connect_failed(struct sock *sk, u16 port, enum pt_tier tier, enum program program)
{
	struct pt_key key = {
		.kind = port ? PT_KIND_CONNECT_CONFLICT : PT_KIND_CONNECT_EXHAUSTED,
		.cause = port ? PT_CAUSE_TUPLE_TAKEN : PT_CAUSE_PORT_RANGE,
		.error = EADDRNOTAVAIL,
		.tier = tier,
	};
	struct pt_detail detail = {.src_port_be16 = bpf_htons(port)};

	fill_socket(&key, &detail, sk);
	fill_connection(&key, sk);
	fill_owner(&key, &detail, sk, program);
	record(&key, &detail);
}

/* ---- function return: the kernel's own verdict ---- */

static __always_inline int handle_hash_connect(struct sock *sk, int ret, enum pt_tier tier, enum program program)
{
	if (ret != -EADDRNOTAVAIL)
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP) /* DCCP connects through the same function */
		return 0;
	connect_failed(sk, BPF_CORE_READ(sk, __sk_common.skc_num), tier, program);
	return 0;
}

SEC("fexit/inet_hash_connect")
int BPF_PROG(connect4_fexit, void *death_row, struct sock *sk, int ret)
{
	return handle_hash_connect(sk, ret, PT_TIER_FENTRY, PROGRAM_CONNECT4);
}

SEC("fexit/inet6_hash_connect")
int BPF_PROG(connect6_fexit, void *death_row, struct sock *sk, int ret)
{
	return handle_hash_connect(sk, ret, PT_TIER_FENTRY, PROGRAM_CONNECT6);
}

SEC("kprobe")
int BPF_KPROBE(connect_entry, void *death_row, struct sock *sk)
{
	stash_argument(sk);
	return 0;
}

SEC("kretprobe")
int BPF_KRETPROBE(connect_return, int ret)
{
	struct sock *sk;

	if (take_argument(&sk))
		return handle_hash_connect(sk, ret, PT_TIER_KPROBE, PROGRAM_CONNECT_RETURN);
	if (ret == -EADDRNOTAVAIL)
		count_unremembered();
	return 0;
}

/* ---- state changes: the verdict concluded ---- */

/*
 * What a socket had when its search began. Two things change right after a search that succeeds, before the socket can
 * close: write_seq is drawn where it was 0 and grows by the SYN, and sk_txhash is drawn anew. So SYN_SENT → CLOSE with
 * both unchanged means that the search failed. Both are needed: 7.2 draws the hash of an IPv6 socket before the search,
 * and a socket that was used before may fail between search and SYN (no memory, no route).
 *
 * Task → its search. Inserted at CLOSE → SYN_SENT, removed when the search fails or the task's next one begins; the
 * search ends inside the same call, so that only the newest entry of each task matters. A socket that has none of the
 * three is not remembered: both are 0 still when its search has failed. LRU: drops those of tasks that have long gone on.
 */
struct pt_search {
	struct sock *sk;
	u32 txhash;
	u32 write_seq;
	u32 port;
	u32 unused;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct pt_search);
} pt_searches SEC(".maps");

static __always_inline u32 read_write_seq(struct sock *sk)
{
	return BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
}

static __always_inline void search_began(struct sock *sk)
{
	u64 task = bpf_get_current_pid_tgid();
	struct pt_search search = {
		.sk = sk,
		.txhash = BPF_CORE_READ(sk, sk_txhash),
		.write_seq = read_write_seq(sk),
		.port = BPF_CORE_READ(sk, __sk_common.skc_num),
	};

	if (search.write_seq || search.txhash || search.port) {
		if (bpf_map_update_elem(&pt_searches, &task, &search, BPF_ANY))
			count_unremembered();
	} else if (bpf_map_lookup_elem(&pt_searches, &task)) {
		bpf_map_delete_elem(&pt_searches, &task);
	}
}

static __always_inline int handle_state(struct sock *sk, int from, int to, enum pt_tier tier)
{
	if (to == TCP_SYN_SENT && from == TCP_CLOSE) {
		if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP)
			search_began(sk);
		return 0;
	}
	if (from != TCP_SYN_SENT || to != TCP_CLOSE)
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;

	u64 task = bpf_get_current_pid_tgid();
	struct pt_search *search = bpf_map_lookup_elem(&pt_searches, &task);
	u32 txhash = 0, write_seq = 0;
	u16 port = 0;

	/* Another socket's: an interrupt closes this one in the middle of the task's search. */
	if (search && search->sk == sk) {
		txhash = search->txhash;
		write_seq = search->write_seq;
		port = search->port;
		bpf_map_delete_elem(&pt_searches, &task);
	}
	if (BPF_CORE_READ(sk, sk_txhash) == txhash && read_write_seq(sk) == write_seq)
		connect_failed(sk, port, tier, PROGRAM_CONNECT_STATE);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(connect_raw_tp, struct sock *sk, int from, int to)
{
	return handle_state(sk, from, to, PT_TIER_TRACEPOINT);
}

SEC("tp/sock/inet_sock_set_state")
int connect_tp(struct trace_event_raw_inet_sock_set_state *ctx)
{
	return handle_state((struct sock *)ctx->skaddr, ctx->oldstate, ctx->newstate, PT_TIER_TRACEPOINT);
}

#endif
