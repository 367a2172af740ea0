/*
 * Which processes have the sockets open that hold what somebody wants: a socket knows its creator's cgroup, not who has it.
 *
 * When: user space asks for a few resources (pt_census.sought) and reads an iterator over the open files of all tasks to its
 * end, from PortTraceProbes/PortCensusReader+Processes.swift; tasks of the reader's pid namespace and those below. What is
 * found is counted by owner and process in pt_census_owners.
 * Not here: TIME_WAIT, which nobody has open; sockets of the kernel, or on their way from one process to another.
 */
#ifndef PT_CENSUS_FILES_BPF_H
#define PT_CENSUS_FILES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "census_count.bpf.h"

#define PT_EEXIST 17 /* asm-generic/errno-base.h */

/* Notes the socket that a file of the running walk is, with what is read of it. False where it is none of TCP's or UDP's. */
__noinline int read_held(void)
{
	struct census_place *place = census_place();

	if (!place)
		return false;
	struct census_object *object = &place->objects[0];
	struct file *file = (void *)place->file;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(socket, sk);

	object->address = (u64)sk;
	if (bpf_probe_read_kernel(object->bytes, sizeof(object->bytes), sk))
		return false;
	u16 family = FIELD(object, sock_common, u16, skc_family);
	return family == AF_INET || family == AF_INET6;
}

/* Whether connect() has chosen the port of the socket in place->objects[0]: as census_socket() has it. */
static __always_inline bool is_chosen(struct census_object *object)
{
	struct inet_connection_sock *connection = (void *)object->address;
	u64 bucket = (u64)BPF_CORE_READ(connection, icsk_bind_hash);

	return bucket && !is_bound(bucket);
}

static __always_inline bool is_same_place(const struct pt_census_key *left, const struct pt_census_key *right)
{
	const u64 *sources[2] = {(void *)left->src_addr, (void *)right->src_addr};
	const u64 *destinations[2] = {(void *)left->dst_addr, (void *)right->dst_addr};

	return left->family == right->family && left->dst_port_be16 == right->dst_port_be16 &&
	       sources[0][0] == sources[1][0] && sources[0][1] == sources[1][1] &&
	       destinations[0][0] == destinations[1][0] && destinations[0][1] == destinations[1][1];
}

/*
 * Whether a port of place->key's resource was not met yet. Processes may share a socket, and sockets a port: it is counted
 * once, for the first process that has it, which is mostly the one with the lowest number.
 */
static __always_inline bool is_first_held(struct pt_census *census, struct census_place *place, u16 port)
{
	struct pt_census_key *key = &place->key;
	u64 cgroup_id = key->cgroup_id;

	key->cgroup_id = 0;
	key->tgid = port;
	key->flags = PT_CENSUS_MET;
	long error = bpf_map_update_elem(&pt_census_keys, key, &place->count, BPF_NOEXIST);
	key->cgroup_id = cgroup_id;
	key->tgid = 0;
	key->flags = 0;
	if (error && error != -PT_EEXIST)
		census->uncounted[key->kind & 3]++;
	return !error;
}

/* The process, and its own cgroup where the socket's does not tell: in v1, or that of a host's process. */
__noinline int fill_holder(void)
{
	struct census_place *place = census_place();

	if (!place)
		return 0;
	struct task_struct *task = (void *)place->task;
	struct kernfs_node *v2 = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn), *v1 = v1_container(task, v2);

	place->key.tgid = BPF_CORE_READ(task, tgid);
	BPF_CORE_READ_STR_INTO(&place->count.comm, task, group_leader, comm);
	if (!v1 && (place->key.cgroup_id || hides_owner((u64)v2, true)))
		return 0;
	place->count.cgroup_id = BPF_CORE_READ(v1 ?: v2, id) | (v1 ? PT_CGROUP_V1 : 0);
	remember_cgroup((u64)(v1 ?: v2), place->count.cgroup_id, PROGRAM_CENSUS);
	return 0;
}

/* Counts the socket in place->objects[0] if it holds a part of a resource sought. */
__noinline int count_held(u32 index, u32 chosen)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();

	if (!census || !place)
		return 0;
	const struct pt_census_key *sought = &census->sought[index & (PT_CENSUS_SOUGHT - 1)];
	struct census_object *object = &place->objects[0];
	if (sought->kind == PT_CENSUS_PORTS && !chosen)
		return 0;
	u64 node = begin_key(object->address, sought->netns_id, sought->netns_mix, sought->kind << 8 | sought->proto);
	if (sought->kind == PT_CENSUS_PORTS) {
		fill_census_addresses(&place->key, object);
		if (!is_same_place(&place->key, sought))
			return 0;
	}
	if (!is_first_held(census, place, FIELD(object, sock_common, u16, skc_num)))
		return 0;
	fill_holder();
	return count_owner(node);
}

/* A socket that the task in `place` has open. */
__noinline int census_held(void)
{
	struct pt_census *census = census_state();
	struct census_place *place = census_place();

	if (!census || !place || !read_held())
		return 0;
	struct census_object *object = &place->objects[0];
	struct pt_census_net *row = net_row(FIELD(object, sock_common, u64, skc_net));
	if (!row || !is_in_range(row, FIELD(object, sock_common, u16, skc_num)))
		return 0;
	struct sock *sk = (void *)object->address;
	u16 proto = BPF_CORE_READ(sk, sk_protocol);
	bool chosen = proto == IPPROTO_TCP && is_chosen(object);
	for (u32 i = 0; i < PT_CENSUS_SOUGHT; i++) {
		const struct pt_census_key *sought = &census->sought[i];

		if (sought->kind && sought->proto == proto && sought->netns_id == row->netns_id &&
		    sought->netns_mix == row->netns_mix)
			count_held(i, chosen);
	}
	return 0;
}

SEC("iter/task_file")
int census_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct pt_census *census = census_state();
	struct census_place *place = census_place();

	/* All sockets have one table of operations, which was learnt by one of the reader's own. */
	if (!task || !file || !census || !place || (u64)BPF_CORE_READ(file, f_op) != census->socket_ops)
		return 0;
	/* 5.10's verifier takes no pointers to the kernel's objects as a function's arguments. */
	place->task = (u64)task;
	place->file = (u64)file;
	return census_held();
}

#endif
