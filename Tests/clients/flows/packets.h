/* The protocols of flows.c, and what it sends on raw sockets: echo requests, SCTP's INIT, GRE. */
#ifndef FLOWS_PACKETS_H
#define FLOWS_PACKETS_H

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int protocol_number(const char *text, bool v6)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}, {"gre", IPPROTO_GRE}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(text, names[i].name))
			return names[i].number;
	if (!strcmp(text, "icmp"))
		return v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	return atoi(text);
}

/* Sums of the Internet (RFC 1071) and of SCTP (RFC 4960, appendix B). */
static uint16_t sum_be16(const unsigned char *data, size_t size)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static uint32_t crc32c_le32(const unsigned char *data, size_t size)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return htole32(~crc);
}

static size_t fill_echo(unsigned char *packet, unsigned char type, uint64_t number)
{
	uint16_t words[] = {htons((uint16_t)(1 + number % 60000)), 0}; /* id, sequence: a flow each */
	packet[0] = type;
	memcpy(packet + 4, words, sizeof words);
	uint16_t sum = sum_be16(packet, 8);
	memcpy(packet + 2, &sum, sizeof sum); /* of ICMPv6 the kernel makes it */
	return 8;
}

static size_t fill_init(unsigned char *packet, unsigned source, in_port_t port_be16)
{
	uint16_t ports[] = {htons((uint16_t)source), port_be16};
	static const unsigned char chunk[20] = {1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1};
	memcpy(packet, ports, sizeof ports);
	memcpy(packet + 12, chunk, sizeof chunk);
	uint32_t crc = crc32c_le32(packet, 32);
	memcpy(packet + 8, &crc, sizeof crc);
	return 32;
}

/* The packet of that number, into 64 bytes that are 0; returns its size. */
static size_t fill(unsigned char *packet, int protocol, uint64_t number, unsigned source, in_port_t port_be16)
{
	switch (protocol) {
	case IPPROTO_ICMP:
		return fill_echo(packet, 8, number);
	case IPPROTO_ICMPV6:
		return fill_echo(packet, 128, number);
	case IPPROTO_SCTP:
		return fill_init(packet, source, port_be16);
	default:
		packet[2] = 8; /* GRE: IPv4 inside */
		return 24;
	}
}

#endif
