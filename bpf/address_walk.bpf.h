/*
 * The walk over all network namespaces: conntrack_addresses puts all their addresses into a map each second, straight from
 * the kernel's lists, also of namespaces that no process lives in, and notes where conntrack is used. Who looks addresses
 * up: address.bpf.h.
 */
#ifndef PT_ADDRESS_WALK_BPF_H
#define PT_ADDRESS_WALK_BPF_H

#include <bpf/bpf_core_read.h>
#include "address.bpf.h"
#include "conntrack_maps.bpf.h"
#include "netfilter.h"

#define PT_WALK_STEPS 128	   /* devices and addresses that one run looks at */
#define PT_MAX_HOOKS 16		   /* of one place that are looked at */
#define NF_IP_PRI_CONNTRACK (-200) /* include/uapi/linux/netfilter_ipv4.h; IPv6's is the same */

/* Keeps the address that the walk has met. */
__noinline int remember_address(u64 netns, u32 walk)
{
	struct net *net = (void *)netns;
	u32 zero = 0;
	struct address_cursor *cursor = bpf_map_lookup_elem(&pt_place, &zero);

	if (!cursor)
		return 0;
	struct pt_address *address = &cursor->address;
	struct pt_address_owner *known = bpf_map_lookup_elem(&pt_addresses, address);
	struct pt_address_owner owner = {
		.net = (u64)net,
		.hash_mix = BPF_CORE_READ(net, hash_mix),
		.walk = walk,
		.netns_id = BPF_CORE_READ(net, ns.inum),
	};

	if (!known) {
		bpf_map_update_elem(&pt_addresses, address, &owner, BPF_ANY);
	} else if (known->net == owner.net && known->hash_mix == owner.hash_mix) {
		known->walk = walk;
	} else if (known->walk == walk) {
		known->several = walk;
	} else {
		owner.several = known->several;
		bpf_map_update_elem(&pt_addresses, address, &owner, BPF_ANY);
	}
	return 0;
}

/* Entries in a namespace's table; -1 where the kernel does not tell. */
static __always_inline s64 table_entries(struct net *net, struct pt_conntrack *state)
{
	struct net___count *with_count = (void *)net;
	u64 own = 0;
	int count = 0;

	if (bpf_core_field_exists(with_count->ct.count))
		return BPF_CORE_READ(with_count, ct.count.counter);
	if (!state->count_id)
		return -1;
	/* struct nf_conntrack_net begins with the count (include/net/netfilter/nf_conntrack.h). */
	bpf_probe_read_kernel(&own, sizeof(own), (void *)BPF_CORE_READ(net, gen) + state->count_id * sizeof(u64));
	if (bpf_probe_read_kernel(&count, sizeof(count), (void *)own))
		return -1;
	return count;
}

static __always_inline bool has_conntrack_hook(struct nf_hook_entries *entries)
{
	u32 count = BPF_CORE_READ(entries, num_hook_entries);
	void *ops = (void *)entries + bpf_core_field_offset(struct nf_hook_entries, hooks) +
		    count * bpf_core_type_size(struct nf_hook_entry);

	for (u32 i = 0; i < PT_MAX_HOOKS && i < count; i++) {
		struct nf_hook_ops *op = 0;

		bpf_probe_read_kernel(&op, sizeof(op), ops + i * sizeof(op));
		if (BPF_CORE_READ(op, priority) == NF_IP_PRI_CONNTRACK)
			return true;
	}
	return false;
}

static __always_inline void list_table(struct net *net, struct pt_conntrack *state, u32 entries)
{
	u32 index = state->listed++;
	struct pt_used_table *row = bpf_map_lookup_elem(&pt_used, &index);

	if (!row)
		return;
	row->netns_id = BPF_CORE_READ(net, ns.inum);
	row->hash_mix = BPF_CORE_READ(net, hash_mix);
	row->entries = entries;
	row->is_host = (u64)net == state->host_net;
}

/* Notes whether conntrack is used in a namespace: by entries, or as some rule there has asked for it. */
__noinline int see_use(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct net___nf *net = (void *)netns;

	if (!state)
		return 0;
	s64 entries = table_entries((void *)netns, state);
	if (entries > 0) {
		state->entries += entries;
		list_table((void *)netns, state, entries);
	}
	/* Before routing, NF_INET_PRE_ROUTING */
	if (has_conntrack_hook(BPF_CORE_READ(net, nf.hooks_ipv4[0])) ||
	    has_conntrack_hook(BPF_CORE_READ(net, nf.hooks_ipv6[0])))
		state->users++;
	return 0;
}

/* An address where the run before has stopped may have gone to another device, or to nowhere. */
static __always_inline void leave_foreign_addresses(struct address_cursor *cursor, struct net_device *device)
{
	struct in_ifaddr *v4 = cursor->v4;
	struct list_head *node = cursor->v6;

	if (v4 && BPF_CORE_READ(v4, ifa_dev, dev) != device)
		cursor->v4 = 0;
	if (node && node != cursor->v6_end) {
		struct inet6_ifaddr *v6 = (void *)node - bpf_core_field_offset(struct inet6_ifaddr, if_list);

		if (BPF_CORE_READ(v6, idev, dev) != device)
			cursor->v6 = 0;
	}
}

/*
 * One run of conntrack_addresses: from state->cursor as far as it gets. Runs in the loader, never twice at once.
 * A namespace or device that goes between two runs ends the walk, and with it the interval's news.
 */
static __always_inline void walk_addresses(struct pt_conntrack *state)
{
	struct net *net = (void *)(state->cursor ? state->cursor : state->own_net);
	struct net_device *device = (void *)state->device;
	u32 zero = 0;
	struct address_cursor *cursor = bpf_map_lookup_elem(&pt_place, &zero);

	if (!cursor || !goes_on(state))
		return;
	if (device && BPF_CORE_READ(device, nd_net.net) != net) {
		state->broken++;
		device = 0; /* its devices once more */
	}
	if (!device)
		__builtin_memset(cursor, 0, sizeof(*cursor));
	else
		leave_foreign_addresses(cursor, device);
	for (int i = 0; i < PT_WALK_STEPS; i++) {
		int step = address_step((u64)net, false);

		if (step == STEP_ADDRESS) {
			remember_address((u64)net, state->address_walk);
		} else if (step == STEP_END) {
			see_use((u64)net);
			net = (void *)next_net((u64)net);
			state->cursor = (u64)net;
			state->device = 0;
			if (!net)
				return;
			__builtin_memset(cursor, 0, sizeof(*cursor));
		}
	}
	state->cursor = (u64)net;
	state->device = (u64)cursor->device;
}

#endif
