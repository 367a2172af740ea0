/*
 * Which namespace an address belongs to: pods' packets have lost their socket when conntrack of the node sees them, and
 * the address that they come from leads to their namespace.
 *
 * The incoming device tells it, if it is a veth and its other end's namespace has the address. A walk over all namespaces has
 * their addresses in a map (address_walk.bpf.h), of a second ago. What that does not know yet is decided by the running
 * task's namespace, which then must have the address.
 */
#ifndef PT_ADDRESS_BPF_H
#define PT_ADDRESS_BPF_H

#include <bpf/bpf_core_read.h>
#include "conntrack_maps.bpf.h"
#include "files.bpf.h"
#include "netfilter.h"

#define PT_CHECK_STEPS 48	    /* devices and addresses looked at where a namespace is asked for an address */
#define IFF_LOOPBACK 0x8	    /* include/uapi/linux/if.h */
#define PT_INDEX_STEPS 16	    /* devices of one index hash that are looked at */
#define NETDEV_HASHENTRIES (1 << 8) /* include/linux/netdevice.h */
#define NETDEV_ALIGN 32		    /* include/linux/netdevice.h, until net_device.priv */

static __always_inline struct net_device *device_of(struct list_head *node)
{
	return (void *)node - bpf_core_field_offset(struct net_device, dev_list);
}

/* Whether a pointer is a living network namespace, as far as a look at it can tell. */
static __always_inline bool is_net(struct net *net, struct pt_conntrack *state)
{
	return (u64)BPF_CORE_READ(net, ns.ops) == state->net_ops;
}

/* Where this task's namespace is, and the kernel's port tables: by a UDP and a TCP socket of this task's. */
static __always_inline void learn_tables(struct pt_conntrack *state, u64 udp, u64 tcp)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct net *net = BPF_CORE_READ(task, nsproxy, net_ns);
	struct proto *proto = BPF_CORE_READ(task_socket(udp), __sk_common.skc_prot);

	state->own_net = (u64)net;
	state->net_ops = (u64)BPF_CORE_READ(net, ns.ops);
	if (bpf_core_field_exists(proto->h.udp_table))
		state->udp_table = (u64)BPF_CORE_READ(proto, h.udp_table);
	proto = BPF_CORE_READ(task_socket(tcp), __sk_common.skc_prot);
	state->tcp_hashinfo = (u64)BPF_CORE_READ(proto, h.hashinfo);
}

/* Whether a socket is in the network namespace of the host, or of the loader. */
static __always_inline bool is_hosts(struct sock *sk)
{
	struct pt_conntrack *state = conntrack_state();
	u64 net = (u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);

	return state && (net == state->host_net || net == state->own_net);
}

/* The one after it in the kernel's list, which is a circle; 0 when that is the loader's own, where a walk begins. */
__noinline u64 next_net(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct net *net = (void *)netns;

	if (!state)
		return 0;
	for (int i = 0; i < 2; i++) {
		struct list_head *node = BPF_CORE_READ(net, list.next);

		net = (void *)node - bpf_core_field_offset(struct net, list);
		if (is_net(net, state)) {
			if (i) /* the first after the list's head, which is in no namespace */
				state->host_net = (u64)net;
			return (u64)net == state->own_net ? 0 : (u64)net;
		}
	}
	state->broken++; /* the one before has gone, and its memory is something else by now */
	return 0;
}

/* Whether a walk can go on where its last run has stopped: that namespace may have gone since. Ends it if not. */
static __always_inline bool goes_on(struct pt_conntrack *state)
{
	struct net *net = (void *)state->cursor;

	if (!net)
		return true;
	/* list_del_rcu() poisons the way back. */
	struct list_head *before = BPF_CORE_READ(net, list.prev);
	if (BPF_CORE_READ(before, next) == &net->list)
		return true;
	state->broken++;
	state->cursor = 0;
	return false;
}

/* False at the namespace's last device. */
static __always_inline bool next_device(struct net *net, struct address_cursor *cursor)
{
	struct list_head *head = &net->dev_base_head;
	struct net_device *device = cursor->device;
	struct list_head *node = device ? BPF_CORE_READ(device, dev_list.next) : BPF_CORE_READ(net, dev_base_head.next);

	if (!node || node == head)
		return false;
	cursor->device = device = device_of(node);
	if (BPF_CORE_READ(device, nd_net.net) != net) /* gone meanwhile */
		return false;
	if (BPF_CORE_READ(device, flags) & IFF_LOOPBACK)
		return true; /* its addresses are everybody's */
	cursor->v4 = BPF_CORE_READ(device, ip_ptr, ifa_list);
	struct inet6_dev *v6 = BPF_CORE_READ(device, ip6_ptr);
	if (v6 && bpf_core_field_exists(v6->addr_list)) {
		cursor->v6_end = &v6->addr_list;
		cursor->v6 = BPF_CORE_READ(v6, addr_list.next);
	}
	return true;
}

/* The second half of a v4-mapped address. */
static __always_inline u64 v4_mapped(u32 address)
{
	u32 words[2] = {bpf_htonl(0xffff), address};

	return *(u64 *)words;
}

enum step {
	STEP_NOTHING,
	STEP_ADDRESS,
	STEP_END,
};

static __always_inline struct address_cursor *cursor_of(bool own)
{
	struct pt_cpu *cpu = this_cpu();
	u32 zero = 0;

	return own && cpu ? &cpu->cursor : bpf_map_lookup_elem(&pt_place, &zero);
}

/* One step: to the next address, or the next device. own: of this CPU's run, not of one that user space has begun. */
__noinline int address_step(u64 netns, u32 own)
{
	struct net *net = (void *)netns;
	struct address_cursor *cursor = cursor_of(own);

	if (!cursor)
		return STEP_END;
	struct in_ifaddr *v4 = cursor->v4;
	if (v4) {
		cursor->address.halves[0] = 0;
		cursor->address.halves[1] = v4_mapped(BPF_CORE_READ(v4, ifa_local));
		cursor->v4 = BPF_CORE_READ(v4, ifa_next);
		return STEP_ADDRESS;
	}
	struct list_head *node = cursor->v6;
	if (node && node != cursor->v6_end) {
		struct inet6_ifaddr *v6 = (void *)node - bpf_core_field_offset(struct inet6_ifaddr, if_list);

		BPF_CORE_READ_INTO(&cursor->address, v6, addr);
		cursor->v6 = BPF_CORE_READ(node, next);
		return STEP_ADDRESS;
	}
	return next_device(net, cursor) ? STEP_NOTHING : STEP_END;
}

/* Whether a namespace has an address, by its halves. own: as for address_step(). */
__noinline int has_address(u64 netns, u64 first, u64 second, u32 own)
{
	struct address_cursor *cursor = cursor_of(own);

	if (!cursor)
		return false;
	__builtin_memset(cursor, 0, sizeof(*cursor));
	for (int i = 0; i < PT_CHECK_STEPS; i++) {
		int step = address_step(netns, own);

		if (step == STEP_END)
			return false;
		if (step == STEP_ADDRESS && cursor->address.halves[0] == first && cursor->address.halves[1] == second)
			return true;
	}
	return false;
}

/* A namespace's device of that index, 0 where there is none. */
__noinline u64 device_of_index(u64 netns, u32 index)
{
	struct net *net = (void *)netns;
	/* dev_index_hash(), net/core/dev.c */
	void *head = BPF_CORE_READ(net, dev_index_head) + (index & (NETDEV_HASHENTRIES - 1));
	struct hlist_node *node = 0;

	bpf_probe_read_kernel(&node, sizeof(node), head);
	for (int i = 0; i < PT_INDEX_STEPS && node; i++) {
		struct net_device *device = (void *)node - bpf_core_field_offset(struct net_device, index_hlist);

		if ((u32)BPF_CORE_READ(device, ifindex) == index)
			return (u64)device;
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

/* The namespace of a veth's other end; NULL for other devices. */
static __always_inline struct net *peer_net(struct net_device *device)
{
	struct net_device___priv *with_priv = (void *)device;
	struct net_device *peer = 0;
	char kind[5] = {};
	u32 offset; /* of the driver's own part */

	bpf_probe_read_kernel(kind, sizeof(kind), BPF_CORE_READ(device, rtnl_link_ops, kind));
	if (kind[0] != 'v' || kind[1] != 'e' || kind[2] != 't' || kind[3] != 'h' || kind[4])
		return 0;
	if (bpf_core_field_exists(with_priv->priv))
		offset = bpf_core_field_offset(with_priv->priv);
	else
		offset = (bpf_core_type_size(struct net_device) + NETDEV_ALIGN - 1) & ~(NETDEV_ALIGN - 1);
	/* struct veth_priv (drivers/net/veth.c) begins with the peer. */
	bpf_probe_read_kernel(&peer, sizeof(peer), (void *)device + offset);
	return BPF_CORE_READ(peer, nd_net.net);
}

/* The namespace that has the address that is sought; 0 where none has, or it cannot be told which. */
__noinline u64 net_of_address(u64 packet, u64 table)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_cpu *cpu = this_cpu();
	struct sk_buff *skb = (void *)packet;
	bool several = false;

	if (!state || !cpu)
		return 0;
	/* Where it came in; its device is by now the one that it leaves by, if it was routed already. */
	u64 peer = skb ? (u64)peer_net((void *)device_of_index(table, BPF_CORE_READ(skb, skb_iif))) : 0;
	if (peer != table && is_net((void *)peer, state) &&
	    has_address(peer, cpu->address.halves[0], cpu->address.halves[1], true))
		return peer;
	struct pt_address_owner *owner = bpf_map_lookup_elem(&pt_addresses, &cpu->address);
	/* Met by the last complete walk, or by the one that may be under way. */
	if (owner && owner->walk >= state->address_walk_done) {
		struct net *net = (void *)owner->net;

		several = owner->several && owner->several >= state->address_walk_done;
		/* The address may have moved since the walk. The host's own names nobody. */
		if (!several && is_net(net, state) && BPF_CORE_READ(net, hash_mix) == owner->hash_mix &&
		    (owner->net == state->host_net || owner->net == state->own_net ||
		     has_address(owner->net, cpu->address.halves[0], cpu->address.halves[1], true)))
			return owner->net;
	}
	if (several)
		return 0;
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 own = (u64)BPF_CORE_READ(task, nsproxy, net_ns);
	return own && has_address(own, cpu->address.halves[0], cpu->address.halves[1], true) ? own : 0;
}

#endif
