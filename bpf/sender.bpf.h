/*
 * Who sent a packet that conntrack refused. A local sender's socket is still with the packet. A pod's packet has lost
 * it on its way; it is looked up in the port table of the namespace that has the source address: a sender that closes
 * right afterwards is mostly still in its send call at the drop, and a connecting socket stays.
 *
 * A socket counts as the sender only if it is the one that fits the tuple; the process is told only where the running
 * task is found to hold that very socket.
 */
#ifndef PT_SENDER_BPF_H
#define PT_SENDER_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "address.bpf.h"
#include "netfilter.h"
#include "owner.bpf.h"
#include "syscall.bpf.h"
#include "tuple.bpf.h"

#define PT_CHAIN_STEPS 128 /* sockets of a port's chain that are looked at; a longer one is not told */
#define PT_FILE_STEPS 64   /* descriptors of the running task that are looked at */

static __always_inline struct sock *sock_of(struct hlist_node *node, u32 offset)
{
	return (void *)node - offset;
}

static __always_inline bool same_address(const u8 *left, const u8 *right)
{
	const u64 *a = (const void *)left, *b = (const void *)right;

	return a[0] == b[0] && a[1] == b[1];
}

enum fit {
	FIT_NOT,
	FIT_SOURCE,    /* its address and port could send the packet */
	FIT_CONNECTED, /* it is connected to the packet's destination, too */
};

static __always_inline enum fit fits4(struct sock *sk, const struct pt_key *key)
{
	u32 own = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	u32 source = *(const u32 *)key->src_addr, destination = *(const u32 *)key->dst_addr;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6 &&
	    BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only))
		return FIT_NOT;
	if (own && own != source)
		return FIT_NOT;
	return BPF_CORE_READ(sk, __sk_common.skc_daddr) == destination &&
			       BPF_CORE_READ(sk, __sk_common.skc_dport) == key->dst_port_be16
		       ? FIT_CONNECTED
		       : FIT_SOURCE;
}

static __always_inline enum fit fits6(struct sock *sk, const struct pt_key *key)
{
	u8 own[16] = {}, destination[16] = {};
	const u64 *words = (const void *)own;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_INET6)
		return FIT_NOT;
	BPF_CORE_READ_INTO(&own, sk, __sk_common.skc_v6_rcv_saddr);
	if ((words[0] || words[1]) && !same_address(own, key->src_addr))
		return FIT_NOT;
	BPF_CORE_READ_INTO(&destination, sk, __sk_common.skc_v6_daddr);
	return same_address(destination, key->dst_addr) &&
			       BPF_CORE_READ(sk, __sk_common.skc_dport) == key->dst_port_be16
		       ? FIT_CONNECTED
		       : FIT_SOURCE;
}

static __always_inline enum fit fits(struct sock *sk, struct net *net, u16 port, const struct pt_key *key)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_num) != port || BPF_CORE_READ(sk, __sk_common.skc_net.net) != net)
		return FIT_NOT;
	return key->family == PT_FAMILY_IPV4 ? fits4(sk, key) : fits6(sk, key);
}

static __always_inline void consider(struct senders *found, struct sock *sk, enum fit fit)
{
	struct kernfs_node *cgroup = socket_cgroup(sk);

	if (found->fitting && found->cgroup != cgroup)
		found->mixed = 1;
	found->cgroup = cgroup;
	found->fitting++;
	if (fit == FIT_CONNECTED)
		found->connected++;
	if (fit == FIT_CONNECTED || !found->connected)
		found->only = sk;
}

/* One socket of a port's UDP chain. Steps are functions of their own so that the verifier looks at each once. */
__noinline int udp_step(u64 netns)
{
	struct pt_cpu *cpu = this_cpu();

	if (!cpu)
		return false;
	struct hlist_node *node = cpu->senders.node;
	if (!node || (u64)node & 1) /* the end, of a nulls list too (7.x) */
		return false;
	struct sock *sk = sock_of(node, bpf_core_field_offset(struct sock_common, skc_node));
	enum fit fit = fits(sk, (void *)netns, bpf_ntohs(cpu->detail.src_port_be16), &cpu->key);
	if (fit)
		consider(&cpu->senders, sk, fit);
	cpu->senders.node = BPF_CORE_READ(node, next);
	return true;
}

/* UDP: the namespace's, or everybody's, table of ports. False where the chain was too long to tell. */
__noinline int find_udp(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct net *net = (void *)netns;
	struct udp_table *table = 0;

	if (!state || !cpu)
		return false;
	if (bpf_core_field_exists(net->ipv4.udp_table))
		table = BPF_CORE_READ(net, ipv4.udp_table);
	if (!table)
		table = (void *)state->udp_table;
	/* udp_hashfn(), include/net/udp.h */
	u32 port = bpf_ntohs(cpu->detail.src_port_be16);
	u32 slot = (port + BPF_CORE_READ(net, hash_mix)) & BPF_CORE_READ(table, mask);
	void *head = (void *)BPF_CORE_READ(table, hash) + slot * bpf_core_type_size(struct udp_hslot);

	bpf_probe_read_kernel(&cpu->senders.node, sizeof(cpu->senders.node),
			      head + bpf_core_field_offset(struct udp_hslot, head));
	for (int i = 0; i < PT_CHAIN_STEPS; i++) {
		if (!udp_step(netns))
			return true;
	}
	return false;
}

/* One socket, or one bucket, of a port's TCP chain. */
__noinline int tcp_step(u64 netns)
{
	struct pt_cpu *cpu = this_cpu();

	if (!cpu)
		return false;
	struct senders *found = &cpu->senders;
	struct hlist_node *node = found->node, *second = found->second, *bucket = found->bucket;
	struct inet_bind_bucket___bhash2 *with_second = 0;
	u16 port = bpf_ntohs(cpu->detail.src_port_be16);
	if (node) {
		struct sock *sk = sock_of(node, bpf_core_field_offset(struct sock_common, skc_bind_node));

		if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_TIME_WAIT &&
		    fits(sk, (void *)netns, port, &cpu->key) == FIT_CONNECTED)
			consider(found, sk, FIT_CONNECTED);
		found->node = BPF_CORE_READ(node, next);
	} else if (bpf_core_field_exists(with_second->bhash2) && second) {
		struct inet_bind2_bucket *tb =
			(void *)second - bpf_core_field_offset(struct inet_bind2_bucket, bhash_node);

		found->node = BPF_CORE_READ(tb, owners.first);
		found->second = BPF_CORE_READ(second, next);
	} else if (bucket) {
		struct inet_bind_bucket *tb = (void *)bucket - bpf_core_field_offset(struct inet_bind_bucket, node);

		with_second = (void *)tb;
		found->bucket = BPF_CORE_READ(bucket, next);
		if (BPF_CORE_READ(tb, port) != port || (u64)BPF_CORE_READ(tb, ib_net.net) != netns)
			return true;
		if (bpf_core_field_exists(with_second->bhash2))
			found->second = BPF_CORE_READ(with_second, bhash2.first);
		else
			found->node = BPF_CORE_READ(tb, owners.first);
	} else {
		return false;
	}
	return true;
}

/*
 * TCP: the bucket of the port, then its sockets; connecting ones are there from their port search on. A tuple is one
 * socket's. Until v6.8 a bucket lists its sockets, since then second buckets, one for each own address.
 */
__noinline int find_tcp(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct net *net = (void *)netns;
	struct inet_hashinfo *table = 0;

	if (!state || !cpu)
		return false;
	if (bpf_core_field_exists(net->ipv4.tcp_death_row.hashinfo))
		table = BPF_CORE_READ(net, ipv4.tcp_death_row.hashinfo);
	if (!table)
		table = (void *)state->tcp_hashinfo;
	/* inet_bhashfn(), include/net/inet_hashtables.h */
	u32 port = bpf_ntohs(cpu->detail.src_port_be16);
	u32 slot = (port + BPF_CORE_READ(net, hash_mix)) & (BPF_CORE_READ(table, bhash_size) - 1);
	void *head = (void *)BPF_CORE_READ(table, bhash) + slot * bpf_core_type_size(struct inet_bind_hashbucket);

	bpf_probe_read_kernel(&cpu->senders.bucket, sizeof(cpu->senders.bucket),
			      head + bpf_core_field_offset(struct inet_bind_hashbucket, chain));
	for (int i = 0; i < PT_CHAIN_STEPS; i++) {
		if (!tcp_step(netns))
			return true;
	}
	return false;
}

/* Whether a descriptor of the running task is that very socket. */
__noinline int is_descriptor_of(u32 descriptor, u64 socket)
{
	return (u64)task_socket(descriptor) == socket;
}

/* Whether the running task holds that very socket: that of its system call, or one among its first descriptors. */
__noinline int task_holds(u64 socket)
{
	struct syscall call = {};
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return false;
	read_syscall(&call);
	if (is_descriptor_of(call.args[0], socket))
		return true;
	for (u32 i = 0; i < PT_FILE_STEPS; i++) {
		if (is_descriptor_of(i, socket))
			return true;
	}
	return false;
}

/*
 * ICMP has no table of senders. The running task is one if it is in a send call on an ICMP socket whose message is this
 * packet: the same type, code, id and sequence number, or for a ping socket, which has the id as its port, that.
 */
__noinline int find_icmp(u64 netns, u64 transport)
{
	struct pt_cpu *cpu = this_cpu();
	struct syscall call = {};
	struct task_struct *task = (void *)bpf_get_current_task();
	u16 sent[4] = {}, freed[4] = {}; /* type and code, checksum, id, sequence number */

	if (!cpu || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	read_syscall(&call);
	struct sock *sk = task_socket(call.args[0]);
	if (!sk || BPF_CORE_READ(sk, sk_protocol) != cpu->key.proto ||
	    (u64)BPF_CORE_READ(sk, __sk_common.skc_net.net) != netns)
		return 0;
	bpf_probe_read_kernel(freed, sizeof(freed), (void *)transport);
	if (BPF_CORE_READ(sk, sk_type) == SOCK_DGRAM) {
		if (bpf_htons(BPF_CORE_READ(sk, __sk_common.skc_num)) != freed[2])
			return 0;
	} else if (bpf_probe_read_user(sent, sizeof(sent), (void *)message_bytes(&call)) || sent[0] != freed[0] ||
		   sent[2] != freed[2] || sent[3] != freed[3]) {
		return 0;
	}
	consider(&cpu->senders, sk, FIT_SOURCE);
	return 1;
}

/* Whether a cgroup is known, and not the root. */
static __always_inline bool tells_owner(struct kernfs_node *kn)
{
	return kn && kernfs_parent(kn);
}

/*
 * Whether the cgroup in v2 says less than the namespace that has the address. Where containers are in v1, runtimes may
 * leave them where they are themselves in v2: in a service's cgroup.
 */
static __always_inline bool may_hide_container(struct pt_cpu *cpu, struct kernfs_node *kn)
{
	u32 zero = 0;
	struct pt_control *control = bpf_map_lookup_elem(&pt_control, &zero);

	return control && control->v1 && cpu->key.owner_netns_id && is_service((u64)kn);
}

/* The owner of a socket as that of the packet. */
__noinline int fill_sender(u64 socket, u32 attribution, u32 program)
{
	struct pt_cpu *cpu = this_cpu();

	if (!cpu)
		return 0;
	struct kernfs_node *kn = socket_cgroup((void *)socket);
	bool is_held = task_holds(socket);

	if (attribution == PT_ATTRIBUTION_TUPLE && !is_held && (!tells_owner(kn) || may_hide_container(cpu, kn)))
		return 0;
	cpu->key.attribution = attribution;
	if (is_held)
		fill_process(&cpu->key, &cpu->detail);
	/* A socket knows its cgroup in v2 only; its container in v1 is told by the process that holds it. */
	struct kernfs_node *v1 = is_held ? v1_container((void *)bpf_get_current_task(), kn) : 0;
	fill_cgroup(&cpu->key, v1 ?: kn, v1 ? PT_CGROUP_V1 : 0, program);
	return 0;
}

/* The packet's own socket, at local output. False where it has none. */
static __always_inline bool fill_local_sender(struct pt_key *key, struct sk_buff *skb, u32 program)
{
	struct sock *sk = BPF_CORE_READ(skb, sk);

	/* Received packets have the socket of their receiver, if any. */
	if (!sk || BPF_CORE_READ(skb, skb_iif))
		return false;
	key->flags |= PT_FLAG_OUTBOUND;
	u8 sk_state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (sk_state == TCP_TIME_WAIT)
		return true; /* it has no cgroup */
	if (sk_state == TCP_NEW_SYN_RECV) {
		sk = BPF_CORE_READ(sk, __sk_common.skc_listener);
		if (!sk)
			return true;
	}
	/* The kernel's own, for resets and ICMP errors. */
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return true;
	fill_sender((u64)sk, PT_ATTRIBUTION_SOCKET, program);
	return true;
}

/* Seeks the namespace of an address. */
static __always_inline struct net *seek(struct pt_cpu *cpu, const u8 *address, u64 packet, u64 table)
{
	const u64 *halves = (const void *)address;
	bool v6 = cpu->key.family == PT_FAMILY_IPV6;

	cpu->address.halves[0] = v6 ? halves[0] : 0;
	cpu->address.halves[1] = v6 ? halves[1] : v4_mapped(*(const u32 *)address);
	return (void *)net_of_address(packet, table);
}

/* Whose address it is, if not the host's. */
static __always_inline void fill_namespace(struct pt_key *key, struct net *net, struct pt_conntrack *state)
{
	if ((u64)net == state->own_net || (u64)net == state->host_net)
		return;
	key->attribution = PT_ATTRIBUTION_NETNS;
	key->owner_netns_id = BPF_CORE_READ(net, ns.inum);
	key->owner_netns_mix = BPF_CORE_READ(net, hash_mix);
}

/*
 * The owner of a packet's flow: who opened it, or, where nobody on this node did, the namespace that it was for.
 * packet may be 0; transport is where its transport header is, or 0; table is the namespace whose table it is.
 */
__noinline int fill_flow_owner(u64 packet, u64 transport, u64 table, u32 program)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();

	if (!state || !cpu)
		return 0;
	struct pt_key *key = &cpu->key;
	struct senders *found = &cpu->senders;
	if (fill_local_sender(key, (void *)packet, program))
		return 0;
	struct net *net = seek(cpu, key->src_addr, packet, table);
	if (!net) {
		key->flags |= PT_FLAG_INBOUND;
		net = seek(cpu, key->dst_addr, packet, table);
		if (net)
			fill_namespace(key, net, state);
		return 0;
	}
	key->flags |= PT_FLAG_OUTBOUND;
	fill_namespace(key, net, state);

	int complete = false;
	__builtin_memset(found, 0, sizeof(*found));
	if (key->proto == IPPROTO_UDP)
		complete = find_udp((u64)net);
	else if (key->proto == IPPROTO_TCP)
		complete = find_tcp((u64)net);
	else if (is_icmp(key->proto))
		complete = find_icmp((u64)net, transport);
	if (!complete || !found->fitting)
		return 0;
	/* The flow of an entry may have ended long ago, and its port be somebody else's; a connected socket's tuple is not. */
	if (program == PROGRAM_EVICTION && found->connected != 1)
		return 0;
	if (found->connected == 1 || (!found->connected && found->fitting == 1)) {
		fill_sender((u64)found->only, PT_ATTRIBUTION_TUPLE, program);
	} else if (!found->mixed && tells_owner(found->cgroup) &&
		   !may_hide_container(cpu, found->cgroup)) { /* a group that shares the port, of one owner */
		key->attribution = PT_ATTRIBUTION_TUPLE;
		fill_cgroup(key, found->cgroup, 0, program);
	}
	return 0;
}

#endif
