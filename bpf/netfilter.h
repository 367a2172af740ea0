/* Kernel types that the conntrack programs read, beside vmlinux.h: packets, devices, addresses, conntrack's own. */
#ifndef PT_NETFILTER_H
#define PT_NETFILTER_H

#include "vmlinux.h"

/* include/uapi/linux/netfilter/nf_conntrack_common.h */
enum {
	IPS_ASSURED = 1 << 2,
	IPS_CONFIRMED = 1 << 3,
	IPS_SRC_NAT = 1 << 4,
	IPS_DST_NAT = 1 << 5,
	IPS_SEQ_ADJUST = 1 << 6,
	IPS_SRC_NAT_DONE = 1 << 7,
	IPS_DST_NAT_DONE = 1 << 8,
	IPS_TEMPLATE = 1 << 11,
};
/* include/linux/netfilter/nf_conntrack_common.h: _nfct is a pointer and, in 3 bits, an enum ip_conntrack_info */
#define NFCT_PTRMASK ~7UL
enum { IP_CT_IS_REPLY = 3 };
enum { TCP_CONNTRACK_SYN_SENT = 1 }; /* include/uapi/linux/netfilter/nf_conntrack_tcp.h */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/net/dropreason-core.h; v5.17: c504e5c2f964 ("net: skb: introduce kfree_skb_reason()") */
enum skb_drop_reason {
	SKB_DROP_REASON_NOT_SPECIFIED = 2,
	SKB_DROP_REASON_NETFILTER_DROP = 12,
	SKB_DROP_REASON_TC_EGRESS = 62,
	SKB_DROP_REASON_TC_INGRESS = 73,
};
enum skb_drop_reason_subsys {
	SKB_DROP_REASON_SUBSYS_OPENVSWITCH = 2,
};
#define SKB_DROP_REASON_SUBSYS_SHIFT 16

struct trace_event_raw_kfree_skb {
	void *skbaddr;
	enum skb_drop_reason reason;
};

struct rtnl_link_ops {
	char *kind;
};
struct in_device;
struct in_ifaddr {
	struct in_ifaddr *ifa_next;
	struct in_device *ifa_dev;
	__be32 ifa_local;
};
struct net_device;
struct in_device {
	struct net_device *dev;
	struct in_ifaddr *ifa_list;
};
struct inet6_dev;
struct inet6_ifaddr {
	struct in6_addr addr;
	struct inet6_dev *idev;
	struct list_head if_list;
};
struct inet6_dev {
	struct net_device *dev;
	struct list_head addr_list;
};
struct net_device {
	struct list_head dev_list;
	struct hlist_node index_hlist;
	int ifindex;
	possible_net_t nd_net;
	unsigned int flags;
	struct in_device *ip_ptr;
	struct inet6_dev *ip6_ptr;
	struct rtnl_link_ops *rtnl_link_ops;
};
struct net_device___priv { /* v6.7: 1cc3b8cd8d7d and others; the private part begins there */
	u8 priv[0];
};

struct dst_entry {
	struct net_device *dev;
	unsigned short flags;
};
#define DST_METADATA 0x0080 /* include/net/dst.h */
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned long _nfct;
	int skb_iif;
	__be16 protocol;
	u16 network_header;
	unsigned char *head;
	unsigned char *data;
	unsigned int len, data_len;
};

struct ip_conntrack_stat {
	unsigned int invalid;
	unsigned int insert_failed;
	unsigned int drop;
	unsigned int early_drop;
	unsigned int
		chaintoolong; /* v5.15: d7e7747ac5c2 ("netfilter: refuse insertion if chain has grown too large") */
};
struct netns_ct___count { /* until v5.13: c53bd0e96662 ("netfilter: conntrack: move ct counter to net_generic data") */
	atomic_t count;
};
struct net___count {
	struct netns_ct___count ct;
};

struct nf_hook_ops {
	int priority;
};
struct nf_hook_entry {
	void *hook;
};
struct nf_hook_entries {
	u16 num_hook_entries;
	struct nf_hook_entry hooks[0]; /* as many, and then as many pointers to their struct nf_hook_ops */
};
struct netns_nf {
	struct nf_hook_entries *hooks_ipv4[5];
	struct nf_hook_entries *hooks_ipv6[5];
};
struct net___nf {
	struct netns_nf nf;
};

union nf_inet_addr {
	u32 all[4];
};
union nf_conntrack_man_proto {
	__be16 all;
};
struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
	u16 l3num;
};
struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
		u8 protonum;
	} dst;
};
struct hlist_nulls_node {
	struct hlist_nulls_node **pprev;
};
struct nf_conntrack_tuple_hash {
	struct hlist_nulls_node hnnode;
	struct nf_conntrack_tuple tuple;
};
struct nf_conntrack_zone {
	u16 id;
};
struct ip_ct_tcp {
	u8 state; /* enum tcp_conntrack */
};
union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
};
struct nf_conn {
	u32 timeout;
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	possible_net_t ct_net;
	union nf_conntrack_proto proto;
};

struct udp_hslot {
	struct hlist_head head;
};
struct udp_table {
	struct udp_hslot *hash;
	unsigned int mask;
};

struct inet_bind_hashbucket {
	struct hlist_head chain;
};
struct inet_ehash_bucket {
	struct hlist_head chain; /* struct hlist_nulls_head: it ends in an odd number */
};
struct inet_hashinfo {
	struct inet_ehash_bucket *ehash;
	unsigned int ehash_mask;
	struct inet_bind_hashbucket *bhash;
	unsigned int bhash_size;
};
struct inet_bind_bucket {
	possible_net_t ib_net;
	unsigned short port;
	struct hlist_node node;
	struct hlist_head owners;
};
struct inet_bind_bucket___bhash2 { /* v6.8: 8191792c18c5 ("tcp: Link sk and twsk to tb2->owners using skc_bind_node.") */
	struct hlist_head bhash2;
};
struct inet_bind2_bucket {
	struct hlist_node bhash_node;
	struct hlist_head owners;
};

struct ctl_table {
	void *data;
};
struct inode;
struct file___inode {
	struct inode *f_inode;
};
struct inode {
	unsigned int i_flags;
	void *i_private;
};
struct proc_inode {
	struct ctl_table *sysctl_entry;
	struct inode vfs_inode;
};
struct bpf_array {
	void *pptrs[1];
};
enum module_state { /* include/linux/module.h */
		    MODULE_STATE_LIVE,
};
struct module {
	enum module_state state;
};
struct module_kobject {
	struct module *mod;
};
struct kernfs_node___priv {
	void *priv;
};

#pragma clang attribute pop
#endif
