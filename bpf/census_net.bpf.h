/*
 * What is in force in a network namespace: the first half of the census. census_nets walks the kernel's own list, so that
 * no namespace is missed, entered or not.
 */
#ifndef PT_CENSUS_NET_BPF_H
#define PT_CENSUS_NET_BPF_H

#include <bpf/bpf_core_read.h>
#include "address.bpf.h"
#include "census_maps.bpf.h"
#include "census_types.h"

#define PT_PORTS 65536
#define PT_WORD_BITS 64

static __always_inline u32 ones(u64 word)
{
	word -= word >> 1 & 0x5555555555555555;
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return word * 0x0101010101010101 >> 56;
}

/* Ports of a range in the index-th word of place->heads; first: the port of its lowest bit. */
__noinline u32 ports_in_word(u32 index, u32 first, u32 low, u32 high)
{
	struct census_place *place = census_place();
	u32 last = first + PT_WORD_BITS - 1;

	if (!place || first > high || last < low)
		return 0;
	u64 word = place->heads[index & (PT_CENSUS_HEADS - 1)];
	if (first < low)
		word &= ~0ULL << ((low - first) & (PT_WORD_BITS - 1));
	if (last > high)
		word &= ~0ULL >> ((last - high) & (PT_WORD_BITS - 1));
	return ones(word);
}

/* Ports of a range in place->heads; first: the port of its lowest bit. */
__noinline u32 ports_in_words(u32 first, u32 low, u32 high)
{
	struct census_place *place = census_place();
	u32 total = 0;

	if (!place)
		return 0;
	for (u32 i = 0; i < PT_CENSUS_HEADS; i++) {
		if (place->heads[i])
			total += ports_in_word(i, first + i * PT_WORD_BITS, low, high);
	}
	return total;
}

/* How many ports of a range a port map has. */
__noinline u32 ports_in_map(u64 map, u32 low, u32 high)
{
	struct census_place *place = census_place();
	u32 first = low & ~(PT_WORD_BITS - 1), total = 0;

	if (!place)
		return 0;
	for (u32 i = 0; i < PT_PORTS / PT_CENSUS_HEADS / PT_WORD_BITS && first <= high; i++) {
		bpf_probe_read_kernel(place->heads, sizeof(place->heads), (void *)map + first / 8);
		total += ports_in_words(first, low, high);
		first += PT_CENSUS_HEADS * PT_WORD_BITS;
	}
	return total;
}

static __always_inline u64 tcp_table_of(struct net *net, struct pt_conntrack *state)
{
	u64 table = 0;

	if (bpf_core_field_exists(net->ipv4.tcp_death_row.hashinfo))
		table = (u64)BPF_CORE_READ(net, ipv4.tcp_death_row.hashinfo);
	return table ?: state->tcp_hashinfo;
}

static __always_inline u64 udp_table_of(struct net *net, struct pt_conntrack *state)
{
	u64 table = 0;

	if (bpf_core_field_exists(net->ipv4.udp_table))
		table = (u64)BPF_CORE_READ(net, ipv4.udp_table);
	return table ?: state->udp_table;
}

/* Keeps a table of a namespace's, UDP's or TCP's, if it is not known yet. */
__noinline int add_table(u64 netns, u64 table, u32 is_udp)
{
	struct pt_census *census = census_state();

	if (!census || !table)
		return 0;
	struct pt_census_table *tables = is_udp ? census->udp : census->tcp;
	for (u32 i = 0; i < PT_CENSUS_TABLES; i++) {
		if (tables[i].table == table)
			return 0;
	}
	u32 next = is_udp ? census->udp_tables : census->tcp_tables;
	if (next >= PT_CENSUS_TABLES) {
		census->lost_tables++;
		return 0;
	}
	tables[next].net = netns;
	tables[next].table = table;
	if (is_udp)
		census->udp_tables = next + 1;
	else
		census->tcp_tables = next + 1;
	return 0;
}

static __always_inline void fill_limits(struct pt_census_net *row, struct net *net)
{
	struct net___census *ours = (void *)net;
	struct net___tw_count *count = (void *)net;
	struct net___pair *pair = (void *)net;
	struct net___word *word = (void *)net;

	if (bpf_core_field_exists(word->ipv4.ip_local_ports.range)) {
		u32 range = BPF_CORE_READ(word, ipv4.ip_local_ports.range);
		row->port_low = range & 0xffff;
		row->port_high = range >> 16;
	} else {
		int range[2] = {};
		BPF_CORE_READ_INTO(&range, pair, ipv4.ip_local_ports.range);
		row->port_low = range[0];
		row->port_high = range[1];
	}
	row->tw_reuse = BPF_CORE_READ(ours, ipv4.sysctl_tcp_tw_reuse);
	row->timestamps = BPF_CORE_READ(ours, ipv4.sysctl_tcp_timestamps);
	if (!bpf_core_field_exists(net->ipv4.tcp_death_row.sysctl_max_tw_buckets))
		return; /* v5.18 to v6.0, not tried: fbb8295248e1 ("tcp: allocate tcp_death_row outside of struct netns_ipv4") */
	row->tells_tw = 1;
	row->tw_limit = BPF_CORE_READ(net, ipv4.tcp_death_row.sysctl_max_tw_buckets);
	if (bpf_core_field_exists(count->ipv4.tcp_death_row.tw_count))
		row->tw_count = BPF_CORE_READ(count, ipv4.tcp_death_row.tw_count.counter);
	else
		row->tw_count = BPF_CORE_READ(net, ipv4.tcp_death_row.tw_refcount.refs.counter) - 1;
}

/* Makes sure that a namespace has its row: 0 where it has none, as it is no namespace or there is no room. */
__noinline int ensure_net(u64 netns)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_census *census = census_state();
	struct census_place *place = census_place();
	struct net *net = (void *)netns;
	struct net___census *ours = (void *)net;

	if (!state || !census || !place)
		return 0;
	if (bpf_map_lookup_elem(&pt_census_nets, &netns))
		return 1;
	if (!is_net(net, state)) {
		census->strange++;
		return 0;
	}
	struct pt_census_net *row = &place->net;
	__builtin_memset(row, 0, sizeof(*row));
	row->netns_id = BPF_CORE_READ(net, ns.inum);
	row->netns_mix = BPF_CORE_READ(net, hash_mix);
	row->reserved_map = (u64)BPF_CORE_READ(ours, ipv4.sysctl_local_reserved_ports);
	fill_limits(row, net);
	row->reserved = PT_CENSUS_NOT_COUNTED;
	if (bpf_map_update_elem(&pt_census_nets, &netns, row, BPF_NOEXIST)) {
		census->lost_nets++;
		return 0;
	}
	add_table(netns, tcp_table_of(net, state), false);
	add_table(netns, udp_table_of(net, state), true);
	return 1;
}

/* The row of a socket's namespace, which may be younger than the walk over them. */
static __always_inline struct pt_census_net *net_row(u64 netns)
{
	struct pt_census_net *row = bpf_map_lookup_elem(&pt_census_nets, &netns);

	if (row)
		return row;
	return ensure_net(netns) ? bpf_map_lookup_elem(&pt_census_nets, &netns) : 0;
}

/* Counts the reserved ports of a namespace that has its row, once. */
__noinline int count_reserved(u64 netns)
{
	struct pt_census_net *row = bpf_map_lookup_elem(&pt_census_nets, &netns);

	if (row && row->reserved == PT_CENSUS_NOT_COUNTED)
		row->reserved = ports_in_map(row->reserved_map, row->port_low, row->port_high);
	return 0;
}

/* Whether a port counts for its namespace's range: it lies there and is not reserved. */
static __always_inline bool is_in_range(const struct pt_census_net *row, u32 port)
{
	u64 word = 0;

	if (port < row->port_low || port > row->port_high)
		return false;
	if (!row->reserved)
		return true;
	bpf_probe_read_kernel(&word, sizeof(word), (void *)row->reserved_map + port / PT_WORD_BITS * sizeof(word));
	return !(word >> port % PT_WORD_BITS & 1);
}

/* Notes the nearest ports outside of the range that somebody has: what a wider range would meet. */
static __always_inline void note_neighbour(struct pt_census_net *row, u16 port)
{
	if (port < row->port_low && port > row->below_range)
		row->below_range = port;
	if (port > row->port_high && (port < row->above_range || !row->above_range))
		row->above_range = port;
}

#define PT_CENSUS_NETS 32 /* namespaces of one run */

/* One run of census_nets: from state->cursor as far as it gets; 0 at the end, or where the walk is broken. */
static __always_inline void walk_nets(struct pt_conntrack *state)
{
	if (!goes_on(state))
		return;
	u64 net = state->cursor ?: state->own_net;
	for (u32 i = 0; i < PT_CENSUS_NETS && net; i++) {
		ensure_net(net);
		count_reserved(net);
		net = next_net(net);
	}
	state->cursor = net;
}

#endif
