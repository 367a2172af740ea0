/* An argument kept from a function's kprobe to its kretprobe, which has the result alone. */
#ifndef PT_STASH_BPF_H
#define PT_STASH_BPF_H

#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

/*
 * Task → the socket of the call that it is in. One call a task, a depth of one: the functions of an object do not
 * call each other, and run for nobody but the task itself, never in an interrupt. Inserted at entry, removed at
 * return; what a return that the kernel missed has left is overwritten by the task's next call, and stays if there is
 * none. Full, with more tasks in such a call than this: counted as missed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct sock *);
} pt_arguments SEC(".maps");

/* A failure that could not be told for want of what came before it: reported as missed. */
static __always_inline void count_unremembered(void)
{
	u32 zero = 0;
	struct pt_control *control = bpf_map_lookup_elem(&pt_control, &zero);

	if (control)
		__sync_fetch_and_add(&control->unremembered, 1);
}

static __always_inline void stash_argument(struct sock *sk)
{
	u64 task = bpf_get_current_pid_tgid();

	if (bpf_map_update_elem(&pt_arguments, &task, &sk, BPF_ANY))
		count_unremembered();
}

/* False where the entry was not seen. */
static __always_inline bool take_argument(struct sock **sk)
{
	u64 task = bpf_get_current_pid_tgid();
	struct sock **found = bpf_map_lookup_elem(&pt_arguments, &task);

	if (!found)
		return false;
	*sk = *found;
	bpf_map_delete_elem(&pt_arguments, &task);
	return true;
}

#endif
