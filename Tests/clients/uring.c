/* connect() through io_uring, with the bare system calls. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	int fd;
	unsigned *submit_tail, submit_mask, *submit_array;
	unsigned *complete_head, *complete_tail, complete_mask;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *completions;
} ring;

int probe_uring(void)
{
	struct io_uring_params parameters = {0};
	int fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void *map(size_t size, off_t offset)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, offset);
	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

void prepare_uring(const struct options *options)
{
	(void)options;
	struct io_uring_params parameters = {0};
	ring.fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	if (ring.fd < 0)
		fail("io_uring_setup");
	char *submit = map(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	char *complete =
		map(parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring.entries = map(parameters.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring.submit_tail = (unsigned *)(submit + parameters.sq_off.tail);
	ring.submit_mask = *(unsigned *)(submit + parameters.sq_off.ring_mask);
	ring.submit_array = (unsigned *)(submit + parameters.sq_off.array);
	ring.complete_head = (unsigned *)(complete + parameters.cq_off.head);
	ring.complete_tail = (unsigned *)(complete + parameters.cq_off.tail);
	ring.complete_mask = *(unsigned *)(complete + parameters.cq_off.ring_mask);
	ring.completions = (struct io_uring_cqe *)(complete + parameters.cq_off.cqes);
}

int attempt_uring(const struct options *options, const struct destination *to)
{
	int fd = open_socket(options, to->address.any.sa_family);
	unsigned tail = *ring.submit_tail, slot = tail & ring.submit_mask;
	ring.entries[slot] = (struct io_uring_sqe){
		.opcode = IORING_OP_CONNECT,
		.flags = options->io_worker ? IOSQE_ASYNC : 0,
		.fd = fd,
		.addr = (unsigned long)&to->address,
		.off = to->length,
	};
	ring.submit_array[slot] = slot;
	__atomic_store_n(ring.submit_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		fail("io_uring_enter");
	unsigned head = *ring.complete_head;
	while (__atomic_load_n(ring.complete_tail, __ATOMIC_ACQUIRE) == head)
		if (syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
			fail("io_uring_enter");
	int result = ring.completions[head & ring.complete_mask].res;
	__atomic_store_n(ring.complete_head, head + 1, __ATOMIC_RELEASE);
	close(fd);
	return result < 0 ? -result : 0;
}
