/*
 * Whose a TIME_WAIT socket is: the kernel's struct inet_timewait_sock has neither cgroup nor process, so that both are
 * noted while the socket has them. time_wait.bpf.h writes them, a walk over the sockets reads them with time_wait_owner().
 */
#ifndef PT_TIME_WAIT_OWNER_BPF_H
#define PT_TIME_WAIT_OWNER_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "pt_wire.h"
#include "socket.bpf.h"

/* A connection, from its own end: unique among the sockets of a namespace, TIME_WAIT included. */
struct pt_time_wait_key {
	u32 hash_mix; /* the namespace's */
	u16 local_port;
	u16 remote_port_be16;
	u64 local[2]; /* IPv4 as v4-mapped */
	u64 remote[2];
};

struct pt_time_wait_owner {
	u64 cgroup_id; /* the socket creator's, as in pt_key; 0 unknown */
	u32 tgid;      /* the process that closed it first; 0: none, or not seen */
	u32 uid;
	char comm[PT_COMM_LEN]; /* its leader's */
};

/*
 * Connection → its owner. Inserted when the socket's end closes first (→ FIN_WAIT1), with the process, or, if that was
 * before the attach, as it comes into TIME_WAIT; removed where the connection is aborted instead, or no TIME_WAIT socket
 * could be made. Nothing removes it with the TIME_WAIT socket: whoever uses the tuple again overwrites it, or does not
 * close first, and then has none. So only a look-up for a socket that is in TIME_WAIT has a meaning. Its size is set by
 * the loader, by tcp_max_tw_buckets. LRU: the oldest go first, and their sockets are nobody's then.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct pt_time_wait_key);
	__type(value, struct pt_time_wait_owner);
} pt_time_wait SEC(".maps");

static __always_inline u64 second_half(u32 v4)
{
	u32 words[2] = {bpf_htonl(0xffff), v4};

	return *(u64 *)words;
}

/* sk: a TCP socket, or a TIME_WAIT one: both begin with struct sock_common. local_port: in host byte order. */
static __always_inline void fill_time_wait_key(struct pt_time_wait_key *key, struct sock *sk, u16 local_port)
{
	key->hash_mix = BPF_CORE_READ(sk, __sk_common.skc_net.net, hash_mix);
	key->local_port = local_port;
	key->remote_port_be16 = BPF_CORE_READ(sk, __sk_common.skc_dport);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&key->remote, sk, __sk_common.skc_v6_daddr);
		BPF_CORE_READ_INTO(&key->local, sk, __sk_common.skc_v6_rcv_saddr);
		return;
	}
	key->local[0] = key->remote[0] = 0;
	key->local[1] = second_half(BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
	key->remote[1] = second_half(BPF_CORE_READ(sk, __sk_common.skc_daddr));
}

/* The owner of a socket in TIME_WAIT (skc_state), NULL where it is not known: of before the attach, or long pushed out. */
static __always_inline struct pt_time_wait_owner *time_wait_owner(struct sock *time_wait)
{
	struct pt_time_wait_key key;

	fill_time_wait_key(&key, time_wait, BPF_CORE_READ(time_wait, __sk_common.skc_num));
	return bpf_map_lookup_elem(&pt_time_wait, &key);
}

#endif
