/* Whose failure it is: processes and cgroups. */
#ifndef PT_OWNER_BPF_H
#define PT_OWNER_BPF_H

#include <bpf/bpf_core_read.h>
#include "maps.bpf.h"

#define PT_CGROUP_DEPTH 32 /* levels below the root that a path may have */
#define PT_CGROUP_NAME 256 /* NAME_MAX and its NUL */

/* The programs that record. */
enum program {
	PROGRAM_CONNECT4,
	PROGRAM_CONNECT6,
	PROGRAM_CONNECT_RETURN,
	PROGRAM_CONNECT_STATE,
	PROGRAM_BIND_TCP,
	PROGRAM_BIND_UDP,
	PROGRAM_BIND_RETURN,
	PROGRAM_CONNTRACK,
	PROGRAM_EVICTION,
	/* In a task that has locked the socket; in an interrupt, which may come in between (5.10 does not skip such a run). */
	PROGRAM_TIME_WAIT_TASK,
	PROGRAM_TIME_WAIT,
	PROGRAM_STATES_TASK,
	PROGRAM_STATES,
	PROGRAM_CENSUS,
	PROGRAM_END,
};

/*
 * Where a path is put together. Each program has its own: on a preemptible kernel a task may be switched away inside
 * one for another to run on that CPU; the same program does not run there twice at once.
 */
struct pt_cgroup_scratch {
	char names[PT_CGROUP_PATH_LEN + PT_CGROUP_NAME];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROGRAM_END);
	__type(key, u32);
	__type(value, struct pt_cgroup_scratch);
} pt_cgroup_scratch SEC(".maps");

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___rcu *rcu = (void *)kn;

	if (bpf_core_field_exists(rcu->__parent))
		return BPF_CORE_READ(rcu, __parent);
	return BPF_CORE_READ(kn, parent);
}

/*
 * Keeps the names of a cgroup, a struct kernfs_node, that user space may not know yet. A path too long or too deep is
 * left out: 0.
 *
 * Like every function here that is not static it is verified once, by itself, and so has numbers as its arguments, which
 * is what 5.10's verifier takes.
 */
__noinline int remember_cgroup(u64 node, u64 id, u32 program)
{
	struct kernfs_node *kn = (void *)node;
	u32 index = program, used = 0;

	if (bpf_map_lookup_elem(&pt_cgroups, &id))
		return 1;
	struct pt_cgroup_scratch *scratch = bpf_map_lookup_elem(&pt_cgroup_scratch, &index);
	if (!scratch)
		return 0;
	for (int level = 0; level <= PT_CGROUP_DEPTH; level++) {
		struct kernfs_node *parent = kernfs_parent(kn);

		if (!parent) {
			scratch->names[used & (PT_CGROUP_PATH_LEN - 1)] = 0;
			bpf_map_update_elem(&pt_cgroups, &id, scratch, BPF_ANY);
			return 1;
		}
		long length = bpf_probe_read_kernel_str(&scratch->names[used & (PT_CGROUP_PATH_LEN - 1)],
							PT_CGROUP_NAME, BPF_CORE_READ(kn, name));
		if (length <= 1 || used + length >= PT_CGROUP_PATH_LEN)
			return 0;
		used += length;
		kn = parent;
	}
	return 0;
}

static __always_inline struct kernfs_node *socket_cgroup(struct sock *sk)
{
	struct sock_cgroup_data___val *old = (void *)&sk->sk_cgrp_data;

	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn);
	u64 value = BPF_CORE_READ(old, val);
	struct cgroup *cgroup = (void *)value;
	/* The lowest bit set: priority and classid of cgroup v1 instead of a pointer. */
	return value & 1 ? 0 : BPF_CORE_READ(cgroup, kn);
}

/* The cgroup as the key's owner; v1: PT_CGROUP_V1, or 0. */
static __always_inline void fill_cgroup(struct pt_key *key, struct kernfs_node *kn, u64 v1, enum program program)
{
	if (!kn)
		return;
	key->cgroup_id = BPF_CORE_READ(kn, id) | v1;
	remember_cgroup((u64)kn, key->cgroup_id, program);
}

#define PT_CONTAINER_NAME 64 /* letters of a container's cgroup at least: its id */
#define PT_CONTAINER_DEPTH 8 /* levels that a container may have below its cgroup */

/* Whether a cgroup, a struct kernfs_node, is a container's, or below one, by the length of its name. */
__noinline int is_container(u64 node)
{
	struct kernfs_node *kn = (void *)node;
	char name[PT_CONTAINER_NAME + 8];

	for (int level = 0; level < PT_CONTAINER_DEPTH && kn; level++) {
		if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(kn, name)) > PT_CONTAINER_NAME)
			return true;
		kn = kernfs_parent(kn);
	}
	return false;
}

/* Whether a cgroup, a struct kernfs_node, is a systemd service's, by its name. */
__noinline int is_service(u64 node)
{
	const char *name = BPF_CORE_READ((struct kernfs_node *)node, name);
	char start[40]; /* longer names are cut, and are none: the stack of all callers together is small */
	u64 end = 0;

	long length = bpf_probe_read_kernel_str(start, sizeof(start), name);
	if (length > (long)sizeof(end))
		bpf_probe_read_kernel(&end, sizeof(end), name + length - 1 - sizeof(end));
	return end == 0x656369767265732e; /* ".service" */
}

/* The task's cgroup in the v1 hierarchy of a controller; NULL where there is no such controller. */
static __always_inline struct kernfs_node *v1_cgroup(struct task_struct *task, u32 controller)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = 0;
	u32 index;

	if (controller == PT_V1_MEMORY && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	else if (controller == PT_V1_PIDS && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		index = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	else if (controller == PT_V1_CPU && bpf_core_enum_value_exists(enum cgroup_subsys_id, cpu_cgrp_id))
		index = bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id);
	else if (controller == PT_V1_DEVICES && bpf_core_enum_value_exists(enum cgroup_subsys_id, devices_cgrp_id))
		index = bpf_core_enum_value(enum cgroup_subsys_id, devices_cgrp_id);
	else
		return 0;
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(struct css_set, subsys) + index * sizeof(state));
	return BPF_CORE_READ(state, cgroup, kn);
}

/*
 * Whether the cgroup of a socket, which is of v2, does not tell whose it is, as containers are in v1 here: the root; or
 * where runtimes may leave containers, in their own service's. is_hosts: whether the socket's namespace is the host's.
 */
__noinline int hides_owner(u64 node, u32 is_hosts)
{
	struct kernfs_node *kn = (void *)node;
	u32 zero = 0;
	struct pt_control *control = bpf_map_lookup_elem(&pt_control, &zero);

	return control && control->v1 && (!kernfs_parent(kn) || (!is_hosts && is_service(node)));
}

/* The running task's container in cgroup v1, where v2 does not have it; NULL: it does, or there is none. */
static __always_inline struct kernfs_node *v1_container(struct task_struct *task, struct kernfs_node *v2)
{
	u32 zero = 0;
	struct pt_control *control = bpf_map_lookup_elem(&pt_control, &zero);

	if (!control || !control->v1)
		return 0;
	struct kernfs_node *v1 = v1_cgroup(task, control->v1);
	return v1 && is_container((u64)v1) && !is_container((u64)v2) ? v1 : 0;
}

/* The running task's cgroup as the key's owner. */
static __always_inline void fill_task_cgroup(struct pt_key *key, struct task_struct *task, enum program program)
{
	struct kernfs_node *v2 = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn), *v1 = v1_container(task, v2);

	fill_cgroup(key, v1 ?: v2, v1 ? PT_CGROUP_V1 : 0, program);
}

/* The running task's process. */
static __always_inline void fill_process(struct pt_key *key, struct pt_detail *detail)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	u64 ids = bpf_get_current_pid_tgid();

	key->tgid = ids >> 32;
	key->start_ns = BPF_CORE_READ(leader, start_boottime);
	detail->tid = (u32)ids;
	detail->uid = (u32)bpf_get_current_uid_gid();
	BPF_CORE_READ_STR_INTO(&detail->comm, leader, comm);
}

/* Who runs is who failed; a kernel thread fails for the socket's creator. */
static __always_inline void fill_owner(struct pt_key *key, struct pt_detail *detail, struct sock *sk,
				       enum program program)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD) {
		struct kernfs_node *kn = socket_cgroup(sk);

		key->attribution = PT_ATTRIBUTION_SOCKET;
		if (kn && !hides_owner((u64)kn, true))
			fill_cgroup(key, kn, 0, program);
	} else {
		key->attribution = PT_ATTRIBUTION_TASK;
		fill_process(key, detail);
		fill_task_cgroup(key, task, program);
	}
}

#endif
