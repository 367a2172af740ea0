/*
 * The kernel types that porttrace reads, cut down to the fields that it reads: CO-RE finds each field's
 * real offset at load. A type whose layout changed between kernels stands here in flavors
 * (name___flavor, which CO-RE treats as `name`); the commit that changed it stands beside it.
 */
#ifndef PT_VMLINUX_H
#define PT_VMLINUX_H
#define __VMLINUX_H__ /* bpf_tracing.h: struct pt_regs with the kernel's field names */

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s8 s8;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;
enum { false, true };

/* include/uapi/linux/bpf.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_MMAPABLE = 1 << 10,
};
enum bpf_func_id {
	BPF_FUNC_task_pt_regs = 175, /* v5.15: dd6e10fbd9fb ("bpf: Add bpf_task_pt_regs() helper") */
};

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
	TCP_NEW_SYN_RECV = 12,
};

/* include/uapi: linux/in.h, in6.h, if_ether.h, asm-generic/errno.h; linux/net.h, socket.h */
enum {
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_DCCP = 33,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_AH = 51,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_DSTOPTS = 60,
	IPPROTO_SCTP = 132,
	IPPROTO_UDPLITE = 136,
	ETH_P_IP = 0x0800,
	ETH_P_IPV6 = 0x86dd,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	EPERM = 1,
	AF_INET = 2,
	AF_INET6 = 10,
	EAGAIN = 11,
	EADDRINUSE = 98,
	EADDRNOTAVAIL = 99,
};

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	u64 id;
};
struct kernfs_node___rcu { /* v6.15: 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent.") */
	struct kernfs_node *__parent;
};

struct cgroup {
	struct kernfs_node *kn;
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
enum cgroup_subsys_id { /* which there are, and their values, is the configuration's */
			memory_cgrp_id = 1,
			pids_cgrp_id,
			cpu_cgrp_id,
			devices_cgrp_id,
};
struct css_set {
	struct cgroup *dfl_cgrp;
	struct cgroup_subsys_state *subsys[16];
};
struct sock_cgroup_data {
	struct cgroup *cgroup;
};
struct sock_cgroup_data___val { /* until v5.15: 8520e224f547 ("bpf, cgroups: Fix cgroup v2 fallback on v1/v2 mixed mode") */
	u64 val;
};

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next;
};
struct hlist_head {
	struct hlist_node *first;
};

struct proc_ns_operations;
struct ns_common {
	const struct proc_ns_operations *ops;
	u32 inum;
};

/*
 * v6.8: d9f28735af87 ("Use READ/WRITE_ONCE() for IP local_port_range."): two numbers became one word,
 * high << 16 | low; the socket's own range likewise.
 */
struct local_ports___pair {
	int range[2];
};
struct local_ports___word {
	u32 range;
};
struct netns_ipv4___pair {
	struct local_ports___pair ip_local_ports;
};
struct netns_ipv4___word {
	struct local_ports___word ip_local_ports;
};
struct socket;
struct udp_table;
struct inet_hashinfo;
typedef struct {
	int counter;
} atomic_t;
typedef struct {
	atomic_t refs;
} refcount_t;
struct inet_timewait_death_row {
	struct inet_hashinfo *hashinfo; /* v6.1: d1e5e6408b30 ("tcp: Introduce optional per-netns ehash.") */
	refcount_t tw_refcount;		/* their number and 1 */
	int sysctl_max_tw_buckets;
};
struct inet_timewait_death_row___count { /* where there is no tw_refcount: 5.10 */
	atomic_t tw_count;
};
struct netns_ipv4___tw_count {
	struct inet_timewait_death_row___count tcp_death_row;
};
struct net___tw_count {
	struct netns_ipv4___tw_count ipv4;
};
struct netns_ipv4 {
	struct udp_table *udp_table; /* v6.2: 9804985bf27f ("udp: Introduce optional per-netns hash table.") */
	struct inet_timewait_death_row tcp_death_row;
};
struct net_generic;
struct ip_conntrack_stat;
struct netns_ct {
	struct ip_conntrack_stat *stat;
};
struct linux_mib {
	unsigned long mibs[1];
};
struct netns_mib {
	struct linux_mib *net_statistics;
};
struct net {
	struct list_head list;
	struct ns_common ns;
	struct list_head dev_base_head;
	struct hlist_head *dev_index_head;
	u32 hash_mix;
	struct netns_mib mib;
	struct netns_ipv4 ipv4;
	struct netns_ct ct;
	struct net_generic *gen;
};
struct net___pair {
	struct netns_ipv4___pair ipv4;
};
struct net___word {
	struct netns_ipv4___word ipv4;
};
typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct proto {
	char name[32];
	union {
		struct inet_hashinfo *hashinfo;
		struct udp_table *udp_table;
	} h;
};
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	u16 skc_num;
	unsigned int skc_hash;
	u16 skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_ipv6only : 1;
	struct hlist_node skc_bind_node;
	struct proto *skc_prot;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	struct sock *skc_listener; /* of a request sock */
	struct hlist_node skc_node;
};
typedef struct {
	int owned;
} socket_lock_t;
struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	u32 sk_txhash;
	u16 sk_type;
	u16 sk_protocol;
	u8 sk_kern_sock : 1;
	struct socket *sk_socket;
	struct sock_cgroup_data sk_cgrp_data;
};
struct tcp_sock {
	u32 write_seq;
};
struct inet_sock {
	__be16 inet_sport;
};
struct inet_sock___pair {
	struct {
		u16 lo;
		u16 hi;
	} local_port_range;
};
struct inet_sock___word {
	u32 local_port_range;
};

struct socket {
	struct sock *sk;
};
struct file {
	const void *f_op;
	void *private_data;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct thread_info {
	u32 status; /* x86 */
};
struct nsproxy {
	struct net *net_ns;
};
struct task_struct {
	struct nsproxy *nsproxy;
	struct thread_info thread_info;
	void *stack;
	unsigned int flags;
	int tgid;
	u64 start_boottime;
	struct task_struct *group_leader;
	char comm[16];
	struct css_set *cgroups;
	struct files_struct *files;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	u64 regs[31];
	u64 sp, pc, pstate;
};
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			u64 regs[31];
			u64 sp, pc, pstate;
		};
	};
	u64 orig_x0;
	s32 syscallno;
};
#endif

/* What an iterator over open files hands to its program, kernel/bpf/task_iter.c. */
struct bpf_iter__task_file {
	struct task_struct *task;
	struct file *file;
};

/* The classic tracepoint's record, include/trace/events/sock.h. */
struct trace_event_raw_inet_sock_set_state {
	const void *skaddr;
	int oldstate;
	int newstate;
};

#pragma clang attribute pop
#endif
