/*
 * No free port for a socket that leaves the choice to the kernel (bind_exhausted): bind() to port 0 and listen() on an
 * unbound socket (TCP), bind() to port 0 and the autobind of connect(), send*() and write() (UDP).
 *
 * When: at the return of inet_csk_get_port() and udp_lib_get_port(), called once a failure by each of these ways.
 * Failures return +1 in 5.10 and -EADDRINUSE later; the caller gets EADDRINUSE from bind() and listen(), EAGAIN from
 * autobind (inet_autobind(), net/ipv4/af_inet.c).
 * Not here: a port that the caller chose and that is taken.
 */
#ifndef PT_BIND_BPF_H
#define PT_BIND_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "record.bpf.h"
#include "socket.bpf.h"
#include "owner.bpf.h"
#include "stash.bpf.h"
#include "syscall.bpf.h"

/* The address that the socket was to be bound to; unspecified for listen() and autobind. */
static __always_inline void fill_bound_address(struct pt_key *key, struct sock *sk)
{
	key->flags |= PT_FLAG_SRC;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_INET6) {
		key->family = PT_FAMILY_IPV4;
		*(u32 *)key->src_addr = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		return;
	}
	key->family = PT_FAMILY_IPV6;
	BPF_CORE_READ_INTO(&key->src_addr, sk, __sk_common.skc_v6_rcv_saddr);
	if (is_v4_mapped(key->src_addr)) {
		unmap_v4(key->src_addr);
		key->family = PT_FAMILY_IPV4;
	}
}

static __always_inline void get_port_failed(struct sock *sk, enum pt_tier tier, enum program program)
{
	struct pt_key key = {
		.kind = PT_KIND_BIND_EXHAUSTED,
		.cause = PT_CAUSE_PORT_RANGE,
		.tier = tier,
	};
	struct pt_detail detail = {};

	fill_socket(&key, &detail, sk);
	fill_bound_address(&key, sk);
	fill_owner(&key, &detail, sk, program);
	if (key.proto == IPPROTO_TCP) {
		key.error = EADDRINUSE;
	} else if (key.tgid) {
		struct user_address destination = {};
		enum socket_call call = read_socket_call(sk, &destination);

		key.error = call == CALL_BIND ? EADDRINUSE : call == CALL_OTHER ? EAGAIN : 0;
		fill_destination(&key, &destination);
	}
	record(&key, &detail);
}

static __always_inline int handle_get_port(struct sock *sk, int ret, enum pt_tier tier, enum program program)
{
	u16 proto = BPF_CORE_READ(sk, sk_protocol);

	if (ret && (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE)) /* not DCCP */
		get_port_failed(sk, tier, program);
	return 0;
}

SEC("fexit/inet_csk_get_port")
int BPF_PROG(bind_tcp_fexit, struct sock *sk, u16 port, int ret)
{
	return port ? 0 : handle_get_port(sk, ret, PT_TIER_FENTRY, PROGRAM_BIND_TCP);
}

SEC("fexit/udp_lib_get_port")
int BPF_PROG(bind_udp_fexit, struct sock *sk, u16 port, u32 hash2, int ret)
{
	return port ? 0 : handle_get_port(sk, ret, PT_TIER_FENTRY, PROGRAM_BIND_UDP);
}

SEC("kprobe")
int BPF_KPROBE(bind_entry, struct sock *sk, u16 port)
{
	/* A port that the caller chose is not ours: noted as such, so that its return is no riddle. */
	stash_argument(port ? 0 : sk);
	return 0;
}

SEC("kretprobe")
int BPF_KRETPROBE(bind_return, int ret)
{
	struct sock *sk;

	if (take_argument(&sk))
		return sk ? handle_get_port(sk, ret, PT_TIER_KPROBE, PROGRAM_BIND_RETURN) : 0;
	if (ret)
		count_unremembered();
	return 0;
}

#endif
