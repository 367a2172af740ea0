/* A packet's original tuple: from its conntrack entry, or from its headers where it has none. */
#ifndef PT_TUPLE_BPF_H
#define PT_TUPLE_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "netfilter.h"
#include "pt_wire.h"

#define PT_MAX_EXTENSIONS 8  /* IPv6 extension headers that are followed */
#define PT_TRANSPORT_BYTES 8 /* of each protocol's header, that are looked at */

/* struct tcphdr, include/uapi/linux/tcp.h */
#define TCP_FLAGS_OFFSET 13
enum {
	TCP_FLAG_SYN = 1 << 1,
	TCP_FLAG_RST = 1 << 2,
	TCP_FLAG_ACK = 1 << 4,
};

static __always_inline bool has_ports(u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_DCCP;
}

static __always_inline bool is_icmp(u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* An entry's tuple, as it was before any NAT, and what NAT has made of it. */
static __always_inline void fill_entry_tuple(struct pt_key *key, struct pt_detail *detail, struct nf_conn *ct,
					     unsigned long status)
{
	u8 proto = BPF_CORE_READ(ct, tuplehash[0].tuple.dst.protonum);
	bool ipv6 = BPF_CORE_READ(ct, tuplehash[0].tuple.src.l3num) == AF_INET6;
	u32 size = ipv6 ? 16 : 4;

	key->proto = proto;
	key->family = ipv6 ? PT_FAMILY_IPV6 : PT_FAMILY_IPV4;
	key->flags |= PT_FLAG_SRC | PT_FLAG_DST;
	bpf_probe_read_kernel(key->src_addr, size, &ct->tuplehash[0].tuple.src.u3);
	bpf_probe_read_kernel(key->dst_addr, size, &ct->tuplehash[0].tuple.dst.u3);
	if (status & IPS_SRC_NAT) {
		key->flags |= PT_FLAG_NAT;
		bpf_probe_read_kernel(key->nat_addr, size, &ct->tuplehash[1].tuple.dst.u3);
	}
	if (status & IPS_DST_NAT) {
		key->flags |= PT_FLAG_BACKEND;
		bpf_probe_read_kernel(key->backend_addr, size, &ct->tuplehash[1].tuple.src.u3);
	}
	if (bpf_core_field_exists(ct->zone.id))
		key->zone = BPF_CORE_READ(ct, zone.id);
	if (!has_ports(proto) && !is_icmp(proto))
		return;
	detail->src_port_be16 = BPF_CORE_READ(ct, tuplehash[0].tuple.src.u.all);
	key->dst_port_be16 = BPF_CORE_READ(ct, tuplehash[0].tuple.dst.u.all);
	/* ICMP has its id in a tuple's source, and type and code in its destination, in both directions. */
	if (status & IPS_SRC_NAT)
		detail->nat_port_be16 = is_icmp(proto) ? BPF_CORE_READ(ct, tuplehash[1].tuple.src.u.all)
						       : BPF_CORE_READ(ct, tuplehash[1].tuple.dst.u.all);
	if (status & IPS_DST_NAT && !is_icmp(proto))
		key->backend_port_be16 = BPF_CORE_READ(ct, tuplehash[1].tuple.src.u.all);
}

static __always_inline void fill_transport(struct pt_key *key, struct pt_detail *detail, unsigned char *header)
{
	struct {
		__be16 source, destination;
		__be16 id;
	} words = {};

	if (has_ports(key->proto)) {
		bpf_probe_read_kernel(&words, 4, header);
		detail->src_port_be16 = words.source;
		key->dst_port_be16 = words.destination;
	} else if (is_icmp(key->proto)) { /* type, code, checksum, id */
		bpf_probe_read_kernel(&words, 6, header);
		key->dst_port_be16 = words.source;
		detail->src_port_be16 = words.id;
	}
}

static __always_inline unsigned char *network_header(struct sk_buff *skb)
{
	return BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
}

/* Where a packet's bytes end here; the rest is in pages, which cannot be read. */
static __always_inline unsigned char *linear_end(struct sk_buff *skb)
{
	return BPF_CORE_READ(skb, data) + BPF_CORE_READ(skb, len) - BPF_CORE_READ(skb, data_len);
}

/*
 * The headers of a packet that no NAT has touched. Its transport header in *transport, NULL and no ports where that is not
 * here: the kernel wants only the network header to be. False where it is no IP.
 */
static __always_inline bool fill_packet_tuple(struct pt_key *key, struct pt_detail *detail, struct sk_buff *skb,
					      unsigned char **transport)
{
	unsigned char *header = network_header(skb), *end = linear_end(skb);
	u8 fixed[40] = {};

	if (bpf_probe_read_kernel(fixed, 20, header))
		return false;
	key->flags |= PT_FLAG_SRC | PT_FLAG_DST;
	if (fixed[0] >> 4 == 4) {
		key->family = PT_FAMILY_IPV4;
		key->proto = fixed[9];
		__builtin_memcpy(key->src_addr, fixed + 12, 4);
		__builtin_memcpy(key->dst_addr, fixed + 16, 4);
		header += (fixed[0] & 15) * 4;
	} else {
		if (bpf_probe_read_kernel(fixed, 40, header))
			return false;
		key->family = PT_FAMILY_IPV6;
		__builtin_memcpy(key->src_addr, fixed + 8, 16);
		__builtin_memcpy(key->dst_addr, fixed + 24, 16);
		header += 40;
		u8 next = fixed[6];
		for (int i = 0; i < PT_MAX_EXTENSIONS; i++) {
			u8 extension[2] = {};

			if (header + sizeof(extension) > end)
				break;
			if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
			    next != IPPROTO_AH && next != IPPROTO_DSTOPTS)
				break;
			bpf_probe_read_kernel(extension, sizeof(extension), header);
			header += next == IPPROTO_FRAGMENT ? 8
				  : next == IPPROTO_AH	   ? (extension[1] + 2) * 4
							   : (extension[1] + 1) * 8;
			next = extension[0];
		}
		key->proto = next;
	}
	if (header + PT_TRANSPORT_BYTES > end)
		return true;
	fill_transport(key, detail, header);
	*transport = header;
	return true;
}

/* Whether a packet is TCP's first, which opens a connection. */
static __always_inline bool is_syn(struct sk_buff *skb)
{
	unsigned char *header = network_header(skb);
	u8 fixed[10] = {}, flags = 0;

	bpf_probe_read_kernel(fixed, sizeof(fixed), header);
	bool v4 = fixed[0] >> 4 == 4;
	if ((v4 ? fixed[9] : fixed[6]) != IPPROTO_TCP)
		return false;
	header += (v4 ? (fixed[0] & 15) * 4 : 40) + TCP_FLAGS_OFFSET;
	if (header < linear_end(skb))
		bpf_probe_read_kernel(&flags, sizeof(flags), header);
	return (flags & (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

/* Whether a packet's protocol and first byte agree that it is IP. */
static __always_inline bool is_ip(struct sk_buff *skb)
{
	__be16 protocol = BPF_CORE_READ(skb, protocol);
	u8 first = 0;

	bpf_probe_read_kernel(&first, 1, network_header(skb));
	return (protocol == bpf_htons(ETH_P_IP) && first >> 4 == 4) ||
	       (protocol == bpf_htons(ETH_P_IPV6) && first >> 4 == 6);
}

#endif
