/*
 * TCP's changes of state (tcp_state), for --states: each is sampled, and counted like a failure.
 *
 * When: at inet_sock_set_state, which fires before a full socket's state changes. A socket that is closed into TIME_WAIT
 * is told as that: FIN_WAIT2 or CLOSING → TIME_WAIT, where the kernel closes the socket and puts a smaller one into its
 * place. That one's end, TIME_WAIT → CLOSE, has no tracepoint: it is told by inet_twsk_kill(), where that can be hooked.
 * Not here: a connection that is still a request (SYN_RECV of a listener has no full socket until it is established).
 *
 * What a filter option rejects for certain is not told: by destination and process (pt_state_filter), and of cgroups that
 * user space has rejected before (pt_rejected).
 */
#ifndef PT_STATES_BPF_H
#define PT_STATES_BPF_H

#include "bind.bpf.h"
#include "time_wait.bpf.h"

static __always_inline bool is_wanted_destination(const struct pt_state_filter *filter, const struct pt_key *key)
{
	const u64 *address = (const void *)key->dst_addr;

	if (!filter->destinations || !(key->flags & PT_FLAG_DST))
		return true;
	for (u32 i = 0; i < PT_STATE_FILTERS && i < filter->destinations; i++) {
		const u64 *wanted = (const void *)filter->destination[i].addr;
		const u64 *mask = (const void *)filter->destination[i].mask;

		if (filter->destination[i].port_be16 && filter->destination[i].port_be16 != key->dst_port_be16)
			continue;
		if (!filter->destination[i].family ||
		    (filter->destination[i].family == key->family && (address[0] & mask[0]) == wanted[0] &&
		     (address[1] & mask[1]) == wanted[1]))
			return true;
	}
	return false;
}

/* False only where a filter option rejects it for certain. */
static __always_inline bool is_wanted(const struct pt_key *key)
{
	u32 zero = 0;
	u64 cgroup = key->cgroup_id;
	struct pt_state_filter *filter = bpf_map_lookup_elem(&pt_state_filter, &zero);

	if (!filter || bpf_map_lookup_elem(&pt_rejected, &cgroup))
		return false;
	if (filter->pids && key->tgid) {
		bool is_listed = false;

		for (u32 i = 0; i < PT_STATE_FILTERS && i < filter->pids; i++)
			is_listed |= filter->pid[i] == key->tgid;
		if (!is_listed)
			return false;
	}
	return is_wanted_destination(filter, key);
}

/*
 * Whether the change is the caller's doing: connect(), listen(), shutdown(), close(). All others may be a packet's or a
 * timer's, whoever runs.
 */
static __always_inline bool is_callers(int from, int to)
{
	return to == TCP_SYN_SENT || to == TCP_LISTEN || to == TCP_FIN_WAIT1 || to == TCP_LAST_ACK ||
	       (from == TCP_LISTEN && to == TCP_CLOSE);
}

/* change: the old state << 4 | the new one. */
__noinline int tell_change(u64 socket, u32 change)
{
	struct sock *sk = (void *)socket;
	u32 from = change >> 4, to = change & 15;
	bool by_task = is_task_at(sk);
	struct pt_key key = {
		.kind = PT_KIND_TCP_STATE,
		.tier = PT_TIER_TRACEPOINT,
		.proto = IPPROTO_TCP,
		.attribution = PT_ATTRIBUTION_SOCKET,
		.states = change,
	};
	struct pt_detail detail = {};

	key.netns_id = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	key.cgroup_id = creator_cgroup(sk, by_task, by_task ? PROGRAM_STATES_TASK : PROGRAM_STATES);
	if (BPF_CORE_READ(sk, __sk_common.skc_dport))
		fill_connection(&key, sk);
	else
		fill_bound_address(&key, sk);
	/* What is left of a port that was given back is told only where it can be no older one. */
	u16 port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (!port && from != TCP_CLOSE && from != TCP_SYN_SENT && from != TCP_LISTEN)
		port = local_port(sk);
	detail.src_port_be16 = bpf_htons(port);
	if (by_task && is_callers(from, to))
		fill_process(&key, &detail);
	if (is_wanted(&key))
		record(&key, &detail);
	return 0;
}

static __always_inline int handle_change(struct sock *sk, u32 from, u32 to)
{
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (to == TCP_CLOSE && (from == TCP_FIN_WAIT2 || from == TCP_CLOSING) && is_in_time_wait((u64)sk))
		to = TCP_TIME_WAIT;
	return tell_change((u64)sk, from << 4 | to);
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(states_raw_tp, struct sock *sk, int from, int to)
{
	return handle_change(sk, from, to);
}

SEC("tp/sock/inet_sock_set_state")
int states_tp(struct trace_event_raw_inet_sock_set_state *ctx)
{
	return handle_change((struct sock *)ctx->skaddr, ctx->oldstate, ctx->newstate);
}

/* ---- the end of TIME_WAIT: by its timer, by a packet, as its tuple is used again, or with its namespace ---- */

/* A struct inet_timewait_sock begins like a socket, and has no more in common with it. */
static __always_inline int handle_time_wait_end(struct sock *time_wait, enum pt_tier tier)
{
	struct pt_key key = {
		.kind = PT_KIND_TCP_STATE,
		.states = TCP_TIME_WAIT << 4 | TCP_CLOSE,
		.tier = tier,
		.proto = IPPROTO_TCP,
	};
	struct pt_detail detail = {};

	/* DCCP's end here too, until v6.16. */
	if (BPF_CORE_READ(time_wait, __sk_common.skc_prot, name[0]) != 'T')
		return 0;
	struct pt_time_wait_owner *owner = time_wait_owner(time_wait);
	if (owner && owner->cgroup_id) {
		key.attribution = PT_ATTRIBUTION_SOCKET;
		key.cgroup_id = owner->cgroup_id;
	}
	key.netns_id = BPF_CORE_READ(time_wait, __sk_common.skc_net.net, ns.inum);
	fill_connection(&key, time_wait);
	detail.src_port_be16 = bpf_htons(BPF_CORE_READ(time_wait, __sk_common.skc_num));
	if (is_wanted(&key))
		record(&key, &detail);
	return 0;
}

SEC("fentry/inet_twsk_kill")
int BPF_PROG(states_end_fentry, struct sock *time_wait)
{
	return handle_time_wait_end(time_wait, PT_TIER_FENTRY);
}

SEC("kprobe")
int BPF_KPROBE(states_end_entry, struct sock *time_wait)
{
	return handle_time_wait_end(time_wait, PT_TIER_KPROBE);
}

#endif
