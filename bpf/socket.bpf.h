/* What a failing socket tells: its namespace, protocol, addresses and the port range that bound it. */
#ifndef PT_SOCKET_BPF_H
#define PT_SOCKET_BPF_H

#include <bpf/bpf_core_read.h>
#include "vmlinux.h"
#include "pt_wire.h"

static __always_inline bool is_v4_mapped(const u8 *address)
{
	const u32 *words = (const void *)address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* An IPv6 address that is a v4-mapped one becomes the IPv4 address. */
static __always_inline void unmap_v4(u8 *address)
{
	u32 *words = (void *)address;

	words[0] = words[3];
	words[1] = words[2] = words[3] = 0;
}

/*
 * The range that this socket draws its port from, as inet_sk_get_local_port_range() computes it
 * (net/ipv4/inet_connection_sock.c): the socket's own bounds count where they lie in the namespace's.
 */
static __always_inline void fill_port_range(struct pt_detail *detail, struct sock *sk)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	struct net___pair *pair = (void *)net;
	struct net___word *word = (void *)net;
	struct inet_sock___pair *own_pair = (void *)sk;
	struct inet_sock___word *own_word = (void *)sk;
	u32 low, high, own_low = 0, own_high = 0;

	if (bpf_core_field_exists(word->ipv4.ip_local_ports.range)) {
		u32 range = BPF_CORE_READ(word, ipv4.ip_local_ports.range);
		low = range & 0xffff;
		high = range >> 16;
	} else {
		int range[2] = {};
		BPF_CORE_READ_INTO(&range, pair, ipv4.ip_local_ports.range);
		low = range[0];
		high = range[1];
	}
	if (bpf_core_field_exists(own_pair->local_port_range.lo)) {
		own_low = BPF_CORE_READ(own_pair, local_port_range.lo);
		own_high = BPF_CORE_READ(own_pair, local_port_range.hi);
	} else if (bpf_core_field_exists(own_word->local_port_range)) {
		u32 range = BPF_CORE_READ(own_word, local_port_range);
		own_low = range & 0xffff;
		own_high = range >> 16;
	}
	detail->port_low = low <= own_low && own_low <= high ? own_low : low;
	detail->port_high = low <= own_high && own_high <= high ? own_high : high;
}

static __always_inline void fill_socket(struct pt_key *key, struct pt_detail *detail, struct sock *sk)
{
	key->netns_id = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	key->proto = BPF_CORE_READ(sk, sk_protocol);
	fill_port_range(detail, sk);
}

/* Both ends of a socket in connect(). A v4-mapped one keeps its IPv4 addresses where IPv4 sockets do. */
static __always_inline void fill_connection(struct pt_key *key, struct sock *sk)
{
	key->flags |= PT_FLAG_SRC | PT_FLAG_DST;
	key->dst_port_be16 = BPF_CORE_READ(sk, __sk_common.skc_dport);
	key->family = PT_FAMILY_IPV4;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&key->dst_addr, sk, __sk_common.skc_v6_daddr);
		if (!is_v4_mapped(key->dst_addr)) {
			key->family = PT_FAMILY_IPV6;
			BPF_CORE_READ_INTO(&key->src_addr, sk, __sk_common.skc_v6_rcv_saddr);
			return;
		}
		__builtin_memset(key->dst_addr, 0, sizeof(key->dst_addr));
	}
	*(u32 *)key->dst_addr = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	*(u32 *)key->src_addr = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
}

#endif
