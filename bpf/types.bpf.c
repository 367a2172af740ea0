// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the kernel types that the hooks were loaded with are this kernel's: what they read, compared with what the
 * kernel tells otherwise. Another kernel's types load as well, and then read other bytes: failures would go unseen.
 *
 * When: once, by BPF_PROG_TEST_RUN, before the hooks, where the types come from a file. Attached to nothing.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "files.bpf.h"
#include "owner.bpf.h"

/* descriptor: of the calling task, an unbound TCP socket over IPv4; netns: the inode of its namespace. 0: they fit. */
SEC("raw_tp")
int BPF_PROG(types_check, u64 descriptor, u64 netns)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	u64 cgroup = bpf_get_current_cgroup_id();
	u64 comm[2] = {}, known[2] = {};

	bpf_get_current_comm(known, sizeof(known));
	BPF_CORE_READ_INTO(&comm, leader, comm);
	if (comm[0] != known[0] || comm[1] != known[1] || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 1;
	if (BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id) != cgroup)
		return 2;

	struct sock *sk = task_socket(descriptor);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_INET || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 3;
	if (BPF_CORE_READ(sk, __sk_common.skc_num) || BPF_CORE_READ(sk, sk_txhash))
		return 4;
	if (BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) != netns)
		return 5;
	struct kernfs_node *kn = socket_cgroup(sk); /* 0 with cgroup v1's classid in its place */
	if (kn && BPF_CORE_READ(kn, id) != cgroup)
		return 6;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
