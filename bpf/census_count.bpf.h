/*
 * What the census of ports counts of one socket, or of one bucket, that a walk (census.bpf.h) has read: whose it is, and what
 * it holds.
 */
#ifndef PT_CENSUS_COUNT_BPF_H
#define PT_CENSUS_COUNT_BPF_H

#include <bpf/bpf_core_read.h>
#include "census_net.bpf.h"
#include "owner.bpf.h"
#include "socket.bpf.h"
#include "time_wait_owner.bpf.h"

#define PT_CENSUS_PROBES 8 /* places for a UDP port among those seen */

/* A field of an object that was read. */
#define FIELD(object, kind, type, field) (*(type *)&(object)->bytes[bpf_core_field_offset(struct kind, field)])

/* ---- counting ---- */

enum counted {
	COUNTED_NOT, /* there is no room */
	COUNTED,
	COUNTED_NEW, /* the key's first */
};

/* Counts place->key in a map; node: the cgroup's struct kernfs_node. */
static __always_inline enum counted count_in(void *map, struct census_place *place, u64 node)
{
	struct pt_census_count *known = bpf_map_lookup_elem(map, &place->key);

	if (known) {
		known->count++;
		return COUNTED;
	}
	place->count.count = 1;
	if (bpf_map_update_elem(map, &place->key, &place->count, BPF_NOEXIST))
		return COUNTED_NOT;
	if (node && !(place->key.cgroup_id & PT_CGROUP_V1))
		remember_cgroup(node, place->key.cgroup_id, PROGRAM_CENSUS);
	return COUNTED_NEW;
}

/* Counts place->key, of a kind without addresses, or what is left of it without them. */
__noinline int count_owner(u64 node)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();

	if (!census || !place || count_in(&pt_census_owners, place, node))
		return 0;
	census->uncounted[place->key.kind & 3]++;
	return 0;
}

__noinline int count_ports(u64 node)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();

	if (!census || !place)
		return 0;
	enum counted counted = count_in(&pt_census_keys, place, node);
	census->keys += counted == COUNTED_NEW;
	if (counted != COUNTED_NOT)
		return 0;
	__builtin_memset(place->key.src_addr, 0, sizeof(place->key.src_addr));
	__builtin_memset(place->key.dst_addr, 0, sizeof(place->key.dst_addr));
	place->key.dst_port_be16 = 0;
	place->key.family = PT_FAMILY_NONE;
	place->key.flags |= PT_CENSUS_FOLDED;
	return count_owner(node);
}

/* Begins place->key with a socket's owner; returns its cgroup's struct kernfs_node, where there is one. */
__noinline u64 begin_key(u64 socket, u32 netns_id, u32 netns_mix, u32 kind_proto)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();
	struct sock *sk = (void *)socket;
	struct kernfs_node *kn = 0;

	if (!census || !place)
		return 0;
	struct pt_census_key *key = &place->key;
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(&place->count, 0, sizeof(place->count));
	key->netns_id = netns_id;
	key->netns_mix = netns_mix;
	key->kind = kind_proto >> 8;
	key->proto = kind_proto;
	if (!sk)
		return 0;
	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_TIME_WAIT) {
		kn = socket_cgroup(sk);
		if (!kn || hides_owner((u64)kn, is_hosts(sk)))
			return 0;
		key->cgroup_id = BPF_CORE_READ(kn, id);
		return (u64)kn;
	}
	key->flags = PT_CENSUS_IS_TIME_WAIT;
	/* The peer has not closed yet: tcp_tw_reuse leaves it alone (tcp_twsk_unique()). */
	if (BPF_CORE_READ((struct inet_timewait_sock *)sk, tw_substate) == TCP_FIN_WAIT2)
		key->flags |= PT_CENSUS_IN_FIN_WAIT2;
	struct pt_time_wait_owner *owner = time_wait_owner(sk);
	if (!owner)
		return 0;
	key->cgroup_id = owner->cgroup_id;
	if (census->processes && owner->tgid) {
		key->tgid = owner->tgid;
		__builtin_memcpy(place->count.comm, owner->comm, sizeof(owner->comm));
	}
	return 0;
}

/* ---- one object of each table ---- */

/* Whether a bucket was made by bind() or listen(): connect() passes over it (__inet_hash_connect()). */
static __always_inline bool is_bound(u64 bucket)
{
	struct inet_bind_bucket___census *tb = (void *)bucket;

	return BPF_CORE_READ(tb, fastreuse) >= 0 || BPF_CORE_READ(tb, fastreuseport) >= 0;
}

/* A v4-mapped socket has its IPv4 addresses where IPv4 sockets have them. */
static __always_inline void fill_census_addresses(struct pt_census_key *key, struct census_object *object)
{
	key->dst_port_be16 = FIELD(object, sock_common, u16, skc_dport);
	key->family = PT_FAMILY_IPV4;
	if (FIELD(object, sock_common, u16, skc_family) == AF_INET6) {
		u64 *source = &FIELD(object, sock_common, u64, skc_v6_rcv_saddr);
		u64 *destination = &FIELD(object, sock_common, u64, skc_v6_daddr);

		if (!is_v4_mapped((void *)destination)) {
			key->family = PT_FAMILY_IPV6;
			((u64 *)key->src_addr)[0] = source[0];
			((u64 *)key->src_addr)[1] = source[1];
			((u64 *)key->dst_addr)[0] = destination[0];
			((u64 *)key->dst_addr)[1] = destination[1];
			return;
		}
	}
	*(u32 *)key->src_addr = FIELD(object, sock_common, u32, skc_rcv_saddr);
	*(u32 *)key->dst_addr = FIELD(object, sock_common, u32, skc_daddr);
}

/* A connection, or TIME_WAIT in either of its states. */
__noinline int census_socket(u32 index)
{
	struct census_place *place = census_place();

	if (!place)
		return 0;
	struct census_object *object = &place->objects[index & (PT_CENSUS_GATHERED - 1)];
	u64 net = FIELD(object, sock_common, u64, skc_net), bucket = 0;
	u8 sk_state = FIELD(object, sock_common, u8, skc_state);
	if (sk_state == TCP_NEW_SYN_RECV)
		return 0;
	struct pt_census_net *row = net_row(net);
	if (!row)
		return 0;
	u32 offset = bpf_core_field_offset(struct inet_connection_sock, icsk_bind_hash);
	if (sk_state == TCP_TIME_WAIT) {
		offset = bpf_core_field_offset(struct inet_timewait_sock, tw_tb);
		row->time_wait_sockets++;
	} else {
		row->tcp_sockets++;
	}
	if (is_in_range(row, FIELD(object, sock_common, u16, skc_num)))
		bpf_probe_read_kernel(&bucket, sizeof(bucket), (void *)object->address + offset);
	bool counts = bucket && !is_bound(bucket);
	if (!counts && sk_state != TCP_TIME_WAIT)
		return 0;
	u64 node = begin_key(object->address, row->netns_id, row->netns_mix, PT_CENSUS_PORTS << 8 | IPPROTO_TCP);
	if (sk_state == TCP_TIME_WAIT && (place->key.cgroup_id || place->key.tgid)) {
		place->key.kind = PT_CENSUS_TIME_WAIT;
		count_owner(node);
		place->key.kind = PT_CENSUS_PORTS;
	}
	if (!counts)
		return 0;
	fill_census_addresses(&place->key, object);
	return count_ports(node);
}

/* A bucket's first socket: since v6.8 second buckets have them, see find_tcp(). */
static __always_inline u64 first_socket(struct inet_bind_bucket *tb)
{
	struct inet_bind_bucket___bhash2 *with_second = (void *)tb;
	struct hlist_node *owner;

	if (bpf_core_field_exists(with_second->bhash2)) {
		struct hlist_node *second = BPF_CORE_READ(with_second, bhash2.first);
		struct inet_bind2_bucket *tb2 =
			(void *)second - bpf_core_field_offset(struct inet_bind2_bucket, bhash_node);

		owner = second ? BPF_CORE_READ(tb2, owners.first) : 0;
	} else {
		owner = BPF_CORE_READ(tb, owners.first);
	}
	return owner ? (u64)owner - bpf_core_field_offset(struct sock_common, skc_bind_node) : 0;
}

/* A port that some TCP socket has. Those of a VRF are not the others' (inet_bind_bucket_match()). */
__noinline int census_bucket(u32 index)
{
	struct census_place *place = census_place();

	if (!place)
		return 0;
	struct census_object *object = &place->objects[index & (PT_CENSUS_GATHERED - 1)];
	u64 net = FIELD(object, inet_bind_bucket, u64, ib_net);
	if (FIELD(object, inet_bind_bucket___census, int, l3mdev))
		return 0;
	struct pt_census_net *row = net_row(net);
	if (!row)
		return 0;
	u16 port = FIELD(object, inet_bind_bucket, u16, port);
	bool bound = is_bound(object->address);
	if (bound)
		note_neighbour(row, port);
	if (!is_in_range(row, port))
		return 0;
	row->tcp_ports++;
	row->bound += bound;
	u64 socket = first_socket((void *)object->address);
	u64 node = begin_key(socket, row->netns_id, row->netns_mix, PT_CENSUS_BIND_PORTS << 8 | IPPROTO_TCP);
	if (place->key.cgroup_id || place->key.tgid)
		count_owner(node);
	return 0;
}

/* Whether a UDP port of a namespace was not met yet in this slot: all sockets of a port are in one. */
__noinline int is_first_of_port(u64 net, u32 port)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();
	u32 start = (u32)(net >> 6) * 31 + port;

	if (!census || !place)
		return 0;
	for (u32 i = 0; i < PT_CENSUS_PROBES; i++) {
		struct census_seen *seen = &place->seen[(start + i) & (PT_CENSUS_SEEN - 1)];

		if (seen->slot != place->slot) {
			seen->net = net;
			seen->port = port;
			seen->slot = place->slot;
			return 1;
		}
		if (seen->net == net && seen->port == port)
			return 0;
	}
	census->crowded++;
	return 1;
}

__noinline int census_datagram(u32 index)
{
	struct census_place *place = census_place();

	if (!place)
		return 0;
	struct census_object *object = &place->objects[index & (PT_CENSUS_GATHERED - 1)];
	u64 net = FIELD(object, sock_common, u64, skc_net);
	u16 port = FIELD(object, sock_common, u16, skc_num);
	struct pt_census_net *row = net_row(net);
	if (!row)
		return 0;
	row->udp_sockets++;
	note_neighbour(row, port);
	if (!is_in_range(row, port) || !is_first_of_port(net, port))
		return 0;
	row->udp_ports++;
	u64 node = begin_key(object->address, row->netns_id, row->netns_mix, PT_CENSUS_BIND_PORTS << 8 | IPPROTO_UDP);
	if (place->key.cgroup_id || place->key.tgid)
		count_owner(node);
	return 0;
}

#endif
