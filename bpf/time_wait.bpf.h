/*
 * TIME_WAIT: whose each socket is that comes into it (time_wait_owner.bpf.h), and those that could not be made
 * (time_wait_overflow), as tcp_max_tw_buckets was reached or there was no memory.
 *
 * When: at TCP's state changes. tcp_time_wait() makes the TIME_WAIT socket, or counts TCPTimeWaitOverflow, and then closes
 * the socket on the same CPU: FIN_WAIT2 or CLOSING → CLOSE. An aborted connection does the same without either. So there
 * the kernel's own table of connections is asked for the TIME_WAIT socket, and the counter for an overflow, which claims
 * one (table.bpf.h). The owner is noted when the socket's end closes first, in the closing task.
 * Not here: changes of state as such (states.bpf.h), the end of TIME_WAIT.
 */
#ifndef PT_TIME_WAIT_BPF_H
#define PT_TIME_WAIT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "netfilter.h"
#include "owner.bpf.h"
#include "record.bpf.h"
#include "socket.bpf.h"
#include "table.bpf.h"
#include "time_wait_owner.bpf.h"

#define PT_EHASH_STEPS 128 /* sockets of one bucket that are looked at: with a usual table there are a few */

/* The port of a socket's own end, also where it is closed and has given the port back (skc_num is 0 then). */
static __always_inline u16 local_port(struct sock *sk)
{
	return bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

/* Whether the running task works on the socket: an interrupt takes only what no task has locked. */
static __always_inline bool is_task_at(struct sock *sk)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(sk, sk_lock.owned) && !(BPF_CORE_READ(task, flags) & PF_KTHREAD);
}

static __always_inline struct inet_hashinfo *connections_of(struct sock *sk)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	struct inet_hashinfo *table = BPF_CORE_READ(sk, __sk_common.skc_prot, h.hashinfo);

	/* v6.1: 4461568aa4e5 ("tcp: Access &tcp_hashinfo via net.") */
	if (!table && bpf_core_field_exists(net->ipv4.tcp_death_row.hashinfo))
		table = BPF_CORE_READ(net, ipv4.tcp_death_row.hashinfo);
	return table;
}

static __always_inline bool is_same_connection(const struct pt_time_wait_key *left,
					       const struct pt_time_wait_key *right)
{
	return left->hash_mix == right->hash_mix && left->local_port == right->local_port &&
	       left->remote_port_be16 == right->remote_port_be16 && left->local[0] == right->local[0] &&
	       left->local[1] == right->local[1] && left->remote[0] == right->remote[0] &&
	       left->remote[1] == right->remote[1];
}

/*
 * Whether a socket that is being closed has a TIME_WAIT socket in its place: of the same hash, in the same bucket, with
 * the same addresses and ports (inet_twsk_hashdance(), net/ipv4/inet_timewait_sock.c).
 */
__noinline int is_in_time_wait(u64 socket)
{
	struct sock *sk = (void *)socket;
	struct inet_hashinfo *table = connections_of(sk);
	struct pt_time_wait_key own, other;

	fill_time_wait_key(&own, sk, local_port(sk));
	u32 hash = BPF_CORE_READ(sk, __sk_common.skc_hash);
	u64 slot = hash & BPF_CORE_READ(table, ehash_mask);
	struct inet_ehash_bucket *bucket =
		(void *)BPF_CORE_READ(table, ehash) + slot * bpf_core_type_size(struct inet_ehash_bucket);
	struct hlist_node *node = BPF_CORE_READ(bucket, chain.first);

	for (int i = 0; i < PT_EHASH_STEPS; i++) {
		if (!node)
			return false;
		if ((u64)node & 1) {
			/* The end says whose it is: a socket that was moved meanwhile may have led to another bucket. */
			if ((u64)node >> 1 == slot)
				return false;
			node = BPF_CORE_READ(bucket, chain.first);
			continue;
		}
		struct sock *found = (void *)node - bpf_core_field_offset(struct sock_common, skc_node);
		if (BPF_CORE_READ(found, __sk_common.skc_hash) == hash &&
		    BPF_CORE_READ(found, __sk_common.skc_state) == TCP_TIME_WAIT) {
			fill_time_wait_key(&other, found, BPF_CORE_READ(found, __sk_common.skc_num));
			if (is_same_connection(&own, &other))
				return true;
		}
		node = BPF_CORE_READ(node, next);
	}
	return false;
}

/*
 * The cgroup of the socket's creator. A socket knows its cgroup in v2 only; its container in v1 is told by the task that
 * works on it.
 */
static __always_inline u64 creator_cgroup(struct sock *sk, bool by_task, enum program program)
{
	struct kernfs_node *kn = socket_cgroup(sk);
	struct kernfs_node *v1 = by_task ? v1_container((void *)bpf_get_current_task(), kn) : 0;

	if (v1)
		kn = v1;
	if (!kn || (!v1 && hides_owner((u64)kn, is_hosts(sk))))
		return 0;
	u64 id = BPF_CORE_READ(kn, id) | (v1 ? PT_CGROUP_V1 : 0);
	remember_cgroup((u64)kn, id, program);
	return id;
}

/* → FIN_WAIT1: this end closes first, and will have the TIME_WAIT socket. */
__noinline int note_closer(u64 socket)
{
	struct sock *sk = (void *)socket;
	bool by_task = is_task_at(sk);
	struct pt_time_wait_owner owner = {};
	struct pt_time_wait_key key;

	owner.cgroup_id = creator_cgroup(sk, by_task, by_task ? PROGRAM_TIME_WAIT_TASK : PROGRAM_TIME_WAIT);
	if (by_task) {
		struct task_struct *task = (void *)bpf_get_current_task();

		owner.tgid = bpf_get_current_pid_tgid() >> 32;
		owner.uid = (u32)bpf_get_current_uid_gid();
		BPF_CORE_READ_STR_INTO(&owner.comm, task, group_leader, comm);
	}
	fill_time_wait_key(&key, sk, local_port(sk));
	bpf_map_update_elem(&pt_time_wait, &key, &owner, BPF_ANY);
	return 0;
}

/* tcp_max_tw_buckets, and whether that many are there: some may have gone since. True also where it is not known. */
static __always_inline bool are_buckets_full(struct net *net, u32 *limit)
{
	struct net___tw_count *with_count = (void *)net;
	s64 count;

	if (!bpf_core_field_exists(net->ipv4.tcp_death_row.sysctl_max_tw_buckets))
		return true;
	*limit = BPF_CORE_READ(net, ipv4.tcp_death_row.sysctl_max_tw_buckets);
	if (bpf_core_field_exists(net->ipv4.tcp_death_row.tw_refcount))
		count = (s64)BPF_CORE_READ(net, ipv4.tcp_death_row.tw_refcount.refs.counter) - 1;
	else if (bpf_core_field_exists(with_count->ipv4.tcp_death_row.tw_count))
		count = BPF_CORE_READ(with_count, ipv4.tcp_death_row.tw_count.counter);
	else
		return true;
	return count * 4 >= (s64)*limit * 3;
}

/* The overflow of a socket, as this CPU's key and detail. */
__noinline int fill_overflow(u64 socket)
{
	struct sock *sk = (void *)socket;
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	struct pt_cpu *cpu = this_cpu();
	struct pt_time_wait_key connection;

	if (!cpu)
		return 0;
	struct pt_key *key = &cpu->key;
	struct pt_detail *detail = &cpu->detail;
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(detail, 0, sizeof(*detail));
	key->kind = PT_KIND_TIME_WAIT_OVERFLOW;
	key->tier = PT_TIER_TRACEPOINT;
	key->cause = are_buckets_full(net, &detail->limit) ? PT_CAUSE_TW_BUCKETS : PT_CAUSE_NO_MEMORY;
	key->netns_id = BPF_CORE_READ(net, ns.inum);
	key->proto = IPPROTO_TCP;
	key->attribution = PT_ATTRIBUTION_SOCKET;
	fill_connection(key, sk);
	detail->src_port_be16 = bpf_htons(local_port(sk));
	fill_time_wait_key(&connection, sk, local_port(sk));
	struct pt_time_wait_owner *closer = bpf_map_lookup_elem(&pt_time_wait, &connection);
	if (!closer) { /* it was closed before the attach */
		key->cgroup_id = creator_cgroup(sk, false, PROGRAM_TIME_WAIT);
		return 0;
	}
	key->cgroup_id = closer->cgroup_id;
	key->tgid = closer->tgid;
	detail->uid = closer->uid;
	__builtin_memcpy(detail->comm, closer->comm, sizeof(detail->comm));
	return 0;
}

__noinline int record_overflow(void)
{
	struct pt_cpu *cpu = this_cpu();

	if (cpu)
		record(&cpu->key, &cpu->detail);
	return 0;
}

/* An overflow, if the counter says so. A run that has interrupted another one leaves it to user space (table.bpf.h). */
static __always_inline void tell_overflow(struct sock *sk)
{
	struct pt_cpu *cpu = this_cpu();

	if (!cpu || !cpu->armed || cpu->busy)
		return;
	cpu->busy = 1;
	barrier();
	if (claim_overflow((u64)BPF_CORE_READ(sk, __sk_common.skc_net.net))) {
		fill_overflow((u64)sk);
		record_overflow();
	}
	barrier();
	cpu->busy = 0;
}

/* A socket that has come into TIME_WAIT: if it was closed before the attach, its creator's cgroup is all that is known. */
__noinline int note_creator(u64 socket)
{
	struct sock *sk = (void *)socket;
	bool by_task = is_task_at(sk);
	struct pt_time_wait_owner owner = {};
	struct pt_time_wait_key key;

	fill_time_wait_key(&key, sk, local_port(sk));
	if (bpf_map_lookup_elem(&pt_time_wait, &key))
		return 0;
	owner.cgroup_id = creator_cgroup(sk, by_task, by_task ? PROGRAM_TIME_WAIT_TASK : PROGRAM_TIME_WAIT);
	bpf_map_update_elem(&pt_time_wait, &key, &owner, BPF_ANY);
	return 0;
}

/* One that was aborted, or found no room: what was noted of it is void. */
__noinline int forget_owner(u64 socket)
{
	struct sock *sk = (void *)socket;
	struct pt_time_wait_key key;

	fill_time_wait_key(&key, sk, local_port(sk));
	bpf_map_delete_elem(&pt_time_wait, &key);
	return 0;
}

static __always_inline int handle_time_wait(struct sock *sk, int from, int to)
{
	if (to != TCP_FIN_WAIT1 &&
	    (to != TCP_CLOSE || (from != TCP_FIN_WAIT1 && from != TCP_FIN_WAIT2 && from != TCP_CLOSING)))
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (to == TCP_FIN_WAIT1)
		return note_closer((u64)sk);
	if (from != TCP_FIN_WAIT1) {
		if (is_in_time_wait((u64)sk))
			return note_creator((u64)sk);
		tell_overflow(sk);
	}
	return forget_owner((u64)sk);
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(time_wait_raw_tp, struct sock *sk, int from, int to)
{
	return handle_time_wait(sk, from, to);
}

SEC("tp/sock/inet_sock_set_state")
int time_wait_tp(struct trace_event_raw_inet_sock_set_state *ctx)
{
	return handle_time_wait((struct sock *)ctx->skaddr, ctx->oldstate, ctx->newstate);
}

#endif
