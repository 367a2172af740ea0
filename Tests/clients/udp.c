/* UDP autobind: a socket without a port needs one for its first datagram or connect(). */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <unistd.h>

static int udp_socket(const struct options *options, const struct destination *to)
{
	struct options udp = *options;
	udp.udp = true;
	return open_socket(&udp, to->address.any.sa_family);
}

static int finish(int fd, long result)
{
	int error = result < 0 ? errno : 0;
	close(fd);
	return error;
}

int attempt_udp_connect(const struct options *options, const struct destination *to)
{
	int fd = udp_socket(options, to);
	return finish(fd, connect(fd, &to->address.any, to->length));
}

int attempt_sendto(const struct options *options, const struct destination *to)
{
	int fd = udp_socket(options, to);
	return finish(fd, sendto(fd, "x", 1, 0, &to->address.any, to->length));
}

static struct msghdr message(const struct destination *to, struct iovec *data)
{
	return (struct msghdr){
		.msg_name = (void *)&to->address, .msg_namelen = to->length, .msg_iov = data, .msg_iovlen = 1};
}

int attempt_sendmsg(const struct options *options, const struct destination *to)
{
	struct iovec data = {"x", 1};
	struct msghdr header = message(to, &data);
	int fd = udp_socket(options, to);
	return finish(fd, sendmsg(fd, &header, 0));
}

/* Two messages: the call ends at the first that fails. */
int attempt_sendmmsg(const struct options *options, const struct destination *to)
{
	struct iovec data = {"x", 1};
	struct mmsghdr headers[2] = {{.msg_hdr = message(to, &data)}, {.msg_hdr = message(to, &data)}};
	int fd = udp_socket(options, to);
	return finish(fd, sendmmsg(fd, headers, 2, 0));
}
