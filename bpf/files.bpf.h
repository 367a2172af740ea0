/* The running task's open files. */
#ifndef PT_FILES_BPF_H
#define PT_FILES_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "vmlinux.h"

/* NULL where there is no such descriptor. */
static __always_inline struct file *task_file(u32 descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = 0;

	if (descriptor < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return file;
}

/* The socket of a descriptor, NULL where it is something else. */
static __always_inline struct sock *task_socket(u32 descriptor)
{
	struct file *file = task_file(descriptor);
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(socket, sk);

	/* Any file has something there: a socket's points back. */
	return BPF_CORE_READ(sk, sk_socket) == socket ? sk : 0;
}

#endif
