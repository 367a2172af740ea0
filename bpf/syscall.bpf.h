/*
 * The system call that the running task is in, read at a failure: who asked, and for which destination. Nothing is
 * hooked for it. Registers by the architecture's system call convention; 32-bit x86 callers too.
 */
#ifndef PT_SYSCALL_BPF_H
#define PT_SYSCALL_BPF_H

#include <bpf/bpf_core_read.h>
#include "files.bpf.h"
#include "socket.bpf.h"

/* What call a socket is in. */
enum socket_call {
	CALL_UNKNOWN, /* io_uring, or a kernel-internal socket */
	CALL_BIND,
	CALL_OTHER, /* binds the socket itself: connect(), send*(), write() */
};

struct user_address {
	u64 pointer; /* user space; 0 where the call names no destination */
	u32 length;
};

struct syscall {
	u64 number;
	u64 args[6];
	bool compat; /* a 32-bit call: 32-bit pointers in its structures */
};

#if defined(__TARGET_ARCH_x86)
/* arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl */
enum {
	NR_CONNECT = 42,
	NR_SENDTO = 44,
	NR_SENDMSG = 46,
	NR_BIND = 49,
	NR_SENDMMSG = 307,
	NR32_SOCKETCALL = 102,
	NR32_SENDMMSG = 345,
	NR32_BIND = 361,
	NR32_CONNECT = 362,
	NR32_SENDTO = 369,
	NR32_SENDMSG = 370,
};
/* include/uapi/linux/net.h */
enum {
	SYS_BIND = 2,
	SYS_CONNECT = 3,
	SYS_SENDTO = 11,
	SYS_SENDMSG = 16,
	SYS_SENDMMSG = 20,
};
#define TS_COMPAT 0x0002 /* arch/x86/include/asm/thread_info.h */
#define PT_THREAD_SIZE 16384
#elif defined(__TARGET_ARCH_arm64)
/* include/uapi/asm-generic/unistd.h */
enum {
	NR_BIND = 200,
	NR_CONNECT = 203,
	NR_SENDTO = 206,
	NR_SENDMSG = 211,
	NR_SENDMMSG = 269,
};
#define PT_THREAD_SIZE 16384
#endif

static __always_inline struct pt_regs *user_registers(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	/* Older kernels keep them at the very end of the kernel stack. */
	struct task_struct *task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, stack) + PT_THREAD_SIZE - bpf_core_type_size(struct pt_regs);
}

#if defined(__TARGET_ARCH_x86)
/* 32-bit socketcall(): its arguments are an array in user space. */
static __always_inline void unpack_socketcall(struct syscall *call)
{
	u32 args[6] = {};
	u64 operation = call->args[0];

	bpf_probe_read_user(args, sizeof(args), (void *)call->args[1]);
	for (int i = 0; i < 6; i++)
		call->args[i] = args[i];
	call->number = operation == SYS_BIND	   ? NR_BIND
		       : operation == SYS_CONNECT  ? NR_CONNECT
		       : operation == SYS_SENDTO   ? NR_SENDTO
		       : operation == SYS_SENDMSG  ? NR_SENDMSG
		       : operation == SYS_SENDMMSG ? NR_SENDMMSG
						   : 0;
}

static __always_inline void read_syscall(struct syscall *call)
{
	struct pt_regs *regs = user_registers();
	struct task_struct *task = (void *)bpf_get_current_task();

	call->number = BPF_CORE_READ(regs, orig_ax);
	call->compat = BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
	if (!call->compat) {
		call->args[0] = BPF_CORE_READ(regs, di);
		call->args[1] = BPF_CORE_READ(regs, si);
		call->args[2] = BPF_CORE_READ(regs, dx);
		call->args[4] = BPF_CORE_READ(regs, r8);
		call->args[5] = BPF_CORE_READ(regs, r9);
		return;
	}
	call->args[0] = (u32)BPF_CORE_READ(regs, bx);
	call->args[1] = (u32)BPF_CORE_READ(regs, cx);
	call->args[2] = (u32)BPF_CORE_READ(regs, dx);
	call->args[4] = (u32)BPF_CORE_READ(regs, di);
	call->args[5] = (u32)BPF_CORE_READ(regs, bp);
	switch (call->number) {
	case NR32_SOCKETCALL:
		unpack_socketcall(call);
		break;
	case NR32_BIND:
		call->number = NR_BIND;
		break;
	case NR32_CONNECT:
		call->number = NR_CONNECT;
		break;
	case NR32_SENDTO:
		call->number = NR_SENDTO;
		break;
	case NR32_SENDMSG:
		call->number = NR_SENDMSG;
		break;
	case NR32_SENDMMSG:
		call->number = NR_SENDMMSG;
		break;
	default:
		call->number = 0; /* binds nothing by itself: write() and the like */
	}
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline void read_syscall(struct syscall *call)
{
	struct pt_regs *regs = user_registers();

	call->number = BPF_CORE_READ(regs, syscallno);
	call->compat = false;
	call->args[0] = BPF_CORE_READ(regs, orig_x0);
	call->args[1] = BPF_CORE_READ(regs, user_regs.regs[1]);
	call->args[2] = BPF_CORE_READ(regs, user_regs.regs[2]);
	call->args[4] = BPF_CORE_READ(regs, user_regs.regs[4]);
	call->args[5] = BPF_CORE_READ(regs, user_regs.regs[5]);
}
#endif

/* The msg_name of a struct user_msghdr, which also begins a struct mmsghdr. */
static __always_inline struct user_address message_name(u64 message, bool compat)
{
	struct user_address name = {};

	if (compat) {
		u32 words[2] = {};
		bpf_probe_read_user(words, sizeof(words), (void *)message);
		name.pointer = words[0];
		name.length = words[1];
	} else {
		u64 words[2] = {};
		bpf_probe_read_user(words, sizeof(words), (void *)message);
		name.pointer = words[0];
		name.length = (u32)words[1];
	}
	return name;
}

/* Where the message of a send call or write() begins in user space, the first piece of it. */
static __always_inline u64 message_bytes(const struct syscall *call)
{
	if (call->number != NR_SENDMSG && call->number != NR_SENDMMSG)
		return call->args[1];
	u64 pieces = 0, first = 0;
	u32 size = call->compat ? sizeof(u32) : sizeof(u64);

	/* struct user_msghdr: msg_name, msg_namelen, msg_iov; struct iovec: iov_base. */
	bpf_probe_read_user(&pieces, size, (void *)call->args[1] + 2 * size);
	bpf_probe_read_user(&first, size, (void *)pieces);
	return first;
}

/* The call that the socket is in, and the destination that it names. */
static __always_inline enum socket_call read_socket_call(struct sock *sk, struct user_address *destination)
{
	struct syscall call = {};

	read_syscall(&call);
	if (task_socket(call.args[0]) != sk)
		return CALL_UNKNOWN;
	switch (call.number) {
	case NR_BIND:
		return CALL_BIND;
	case NR_CONNECT:
		destination->pointer = call.args[1];
		destination->length = call.args[2];
		break;
	case NR_SENDTO:
		destination->pointer = call.args[4];
		destination->length = call.args[5];
		break;
	case NR_SENDMSG:
	case NR_SENDMMSG: /* only its first message can find the socket unbound */
		*destination = message_name(call.args[1], call.compat);
		break;
	}
	return CALL_OTHER;
}

/* A sockaddr_in or sockaddr_in6 of user space as the key's destination. */
static __always_inline void fill_destination(struct pt_key *key, const struct user_address *destination)
{
	struct {
		u16 family;
		__be16 port;
		u32 v4_or_flowinfo;
		u8 v6[16];
	} address = {};

	/* A length too short for an address: the call names none (sendmsg() with msg_namelen 0). */
	if (!destination->pointer || destination->length < 16 || destination->length > 128)
		return;
	if (bpf_probe_read_user(&address, 8, (void *)destination->pointer))
		return;
	if (address.family == AF_INET6) {
		if (destination->length < sizeof(address) ||
		    bpf_probe_read_user(&address, sizeof(address), (void *)destination->pointer))
			return;
		__builtin_memcpy(key->dst_addr, address.v6, sizeof(address.v6));
		key->family = PT_FAMILY_IPV6;
		if (is_v4_mapped(key->dst_addr)) {
			unmap_v4(key->dst_addr);
			key->family = PT_FAMILY_IPV4;
		}
	} else if (address.family == AF_INET) {
		*(u32 *)key->dst_addr = address.v4_or_flowinfo;
		key->family = PT_FAMILY_IPV4;
	} else {
		return;
	}
	key->dst_port_be16 = address.port;
	key->flags |= PT_FLAG_DST;
}

#endif
