/*
 * The census of ports: who holds the ports and TIME_WAIT sockets of every network namespace. It walks the kernel's own
 * tables, those of TCP's connections, TCP's ports and UDP's ports, in which all namespaces are: one that cannot be entered
 * too. What it counts is added up here by owner and destination; user space takes the sums.
 *
 * When: by BPF_PROG_TEST_RUN, from PortTraceProbes/PortCensusReader.swift; attached to nothing. A run takes some 100 µs, as
 * the kernel does not preempt it. It reads without locks, under RCU: a chain that has changed meanwhile is read again.
 * Not here: listeners and requests (they take no port of the range that their listener has not), names.
 */
#ifndef PT_CENSUS_BPF_H
#define PT_CENSUS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "census_count.bpf.h"
#include "census_files.bpf.h"
#include "census_net.bpf.h"

#define PT_CENSUS_STEPS 256	  /* of 16 buckets, in one run */
#define PT_CENSUS_SOCKETS_RUN 256 /* after which a run ends */
#define PT_CENSUS_BATCHES 64	  /* of 32 sockets, that a chain may have */
#define PT_CENSUS_TRIES 4	  /* to read a chain that changes */

/* Whether a pointer of a chain is its end: nothing, or the marker of a nulls list. */
static __always_inline bool is_end(u64 node)
{
	return !node || node & 1;
}

/* Reads the next 32 objects of a chain at most, from place->node on. offset: of the node in them. */
__noinline int gather(u32 offset)
{
	struct census_place *place = census_place();

	if (!place)
		return 0;
	place->gathered = 0;
	for (u32 i = 0; i < PT_CENSUS_GATHERED; i++) {
		struct census_object *object = &place->objects[i];

		if (is_end(place->node))
			break;
		object->address = place->node - offset;
		if (bpf_probe_read_kernel(object->bytes, sizeof(object->bytes), (void *)object->address)) {
			place->unreadable = 1;
			place->node = 0;
			break;
		}
		place->node = *(u64 *)&object->bytes[offset & (PT_CENSUS_BYTES - 8)];
		place->gathered = i + 1;
	}
	return 0;
}

/* Whether a chain has led to its own end. A socket that was moved leads to the end of another one. */
static __always_inline bool is_whole(const struct census_place *place, u32 bucket, u32 walk)
{
	return !place->unreadable && (walk != PT_CENSUS_SOCKETS || place->node >> 1 == bucket);
}

/* Reads the beginning of a chain; 0 where it changes all the time. bucket: its number, which ends a nulls list. */
static __always_inline bool begin_chain(struct census_place *place, u64 head, u32 bucket, u32 walk, u32 offset)
{
	for (u32 i = 0; i < PT_CENSUS_TRIES; i++) {
		place->node = 0;
		place->unreadable = 0;
		bpf_probe_read_kernel(&place->node, sizeof(place->node), (void *)head);
		gather(offset);
		if ((!place->unreadable && !is_end(place->node)) || is_whole(place, bucket, walk))
			return true;
	}
	return false;
}

/* Counts what was gathered. */
__noinline int count_gathered(u32 walk)
{
	struct census_place *place = census_place();

	if (!place)
		return 0;
	for (u32 i = 0; i < PT_CENSUS_GATHERED; i++) {
		if (i >= place->gathered)
			break;
		if (walk == PT_CENSUS_SOCKETS)
			census_socket(i);
		else if (walk == PT_CENSUS_BUCKETS)
			census_bucket(i);
		else
			census_datagram(i);
	}
	return 0;
}

/* Counts the objects of a chain; returns how many there are. */
__noinline u32 census_chain(u64 head, u32 bucket, u32 walk)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();
	u32 offset = walk == PT_CENSUS_BUCKETS ? bpf_core_field_offset(struct inet_bind_bucket, node)
					       : bpf_core_field_offset(struct sock_common, skc_node);
	u32 total = 0;

	if (!census || !place)
		return 0;
	place->slot++;
	if (!begin_chain(place, head, bucket, walk, offset))
		census->moved++;
	for (u32 batch = 0; batch < PT_CENSUS_BATCHES; batch++) {
		count_gathered(walk);
		total += place->gathered;
		if (is_end(place->node)) {
			/* What comes after the first ones is counted as it is read, and so not read again: it may be short. */
			census->moved += batch && !is_whole(place, bucket, walk);
			return total;
		}
		gather(offset);
	}
	census->long_chains++;
	return total;
}

/* Looks at 16 buckets of a table from index on; returns how many objects they have. */
__noinline u32 census_step(u64 buckets, u32 index, u32 last, u32 walk)
{
	struct census_place *place = census_place();
	u32 size = sizeof(u64), head = 0, total = 0;

	if (!place)
		return 0;
	if (walk == PT_CENSUS_BUCKETS) {
		size = bpf_core_type_size(struct inet_bind_hashbucket);
		head = bpf_core_field_offset(struct inet_bind_hashbucket, chain);
	} else if (walk == PT_CENSUS_DATAGRAMS) {
		size = bpf_core_type_size(struct udp_hslot);
		head = bpf_core_field_offset(struct udp_hslot, head);
	}
	void *first = (void *)buckets + (u64)index * size + head;
	if (walk == PT_CENSUS_SOCKETS)
		bpf_probe_read_kernel(place->heads, sizeof(place->heads), first);
	else
		for (u32 i = 0; i < PT_CENSUS_HEADS; i++)
			bpf_probe_read_kernel(&place->heads[i], sizeof(u64), first + i * size);
	for (u32 i = 0; i < PT_CENSUS_HEADS; i++) {
		if (index + i <= last && !is_end(place->heads[i]))
			total += census_chain((u64)first + i * size, index + i, walk);
	}
	return total;
}

/* One run over a table: from census->index on. */
static __always_inline void walk_table(struct pt_census *census, u64 buckets, u32 last, u32 walk)
{
	u32 index = census->index, total = 0;

	for (u32 i = 0; i < PT_CENSUS_STEPS; i++) {
		if (index > last || total >= PT_CENSUS_SOCKETS_RUN)
			break;
		total += census_step(buckets, index, last, walk);
		index += PT_CENSUS_HEADS;
	}
	census->index = index;
	census->done = index > last;
}

/* ---- run by user space ---- */

/* udp, tcp: descriptors of sockets of the running task's. */
SEC("raw_tp")
int BPF_PROG(census_learn, u64 udp, u64 tcp)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_census *census = census_state();

	if (!state || !census)
		return 0;
	learn_tables(state, udp, tcp);
	census->socket_ops = (u64)BPF_CORE_READ(task_file(tcp), f_op);
	return 0;
}

SEC("raw_tp")
int census_nets(void *ctx)
{
	struct pt_conntrack *state = conntrack_state();

	if (state)
		walk_nets(state);
	return 0;
}

/* walk: enum pt_census_walk; index: of its table among those that census_nets has found. */
SEC("raw_tp")
int BPF_PROG(census_walk, u64 walk, u64 index)
{
	struct pt_conntrack *state = conntrack_state();
	struct pt_census *census = census_state();

	if (!state || !census || index >= PT_CENSUS_TABLES)
		return 0;
	struct pt_census_table *entry = walk == PT_CENSUS_DATAGRAMS ? &census->udp[index] : &census->tcp[index];
	struct net *net = (void *)entry->net;
	struct inet_hashinfo *tcp = (void *)entry->table;
	struct inet_hashinfo *connections = (void *)entry->table;
	struct udp_table *udp = (void *)entry->table;
	census->done = 1;
	/* A namespace's own table goes with it. */
	if (!is_net(net, state) ||
	    entry->table != (walk == PT_CENSUS_DATAGRAMS ? udp_table_of(net, state) : tcp_table_of(net, state)))
		return 0;
	u64 buckets;
	u32 last;
	if (walk == PT_CENSUS_SOCKETS) {
		buckets = (u64)BPF_CORE_READ(connections, ehash);
		last = BPF_CORE_READ(connections, ehash_mask);
	} else if (walk == PT_CENSUS_BUCKETS) {
		buckets = (u64)BPF_CORE_READ(tcp, bhash);
		last = BPF_CORE_READ(tcp, bhash_size) - 1;
	} else {
		buckets = (u64)BPF_CORE_READ(udp, hash);
		last = BPF_CORE_READ(udp, mask);
	}
	walk_table(census, buckets, last, walk);
	return 0;
}

#endif
