#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

pid_t linux_fork(void)
{
	return fork();
}

int linux_unshare_mounts(void)
{
	return unshare(CLONE_NEWNS);
}

int linux_enter_network_namespace(int descriptor)
{
	return setns(descriptor, CLONE_NEWNET);
}

const int linux_o_path = O_PATH;

int linux_open_below(int directory, const char *path, int flags, unsigned long long resolve)
{
	struct open_how how = {.flags = (unsigned int)flags | O_CLOEXEC, .resolve = resolve};

	return syscall(SYS_openat2, directory, path, &how, sizeof(how));
}

int linux_die_with_parent(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/*
 * A static Swift program finds its own path in /proc before main() and aborts without it. Said in words instead, by a
 * constructor that runs before the Swift runtime's, which have no priority.
 */
__attribute__((constructor(101))) static void require_proc(void)
{
	static const char message[] = "porttrace: /proc is not mounted (mount -t proc proc /proc)\n";

	if (access("/proc/self/exe", F_OK) == 0)
		return;
	(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
	_exit(1);
}

static int ask_driver(int socket, const char *device, void *question)
{
	struct ifreq request = {.ifr_data = question};

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	return ioctl(socket, SIOCETHTOOL, &request);
}

/* The index of a counter among a driver's; -1 where it has none of that name, or with errno set. */
static int counter_index(int socket, const char *device, const char *counter, unsigned int count)
{
	/* The kernel writes as many as there are by then, whatever was asked for: room for twice as many. */
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + 2 * (size_t)count * ETH_GSTRING_LEN);
	int index = -1;

	if (!names)
		return -1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = count;
	if (ask_driver(socket, device, names) == 0) {
		for (unsigned int i = 0; i < count && i < names->len && index < 0; i++)
			if (!strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, counter, ETH_GSTRING_LEN))
				index = i;
	}
	free(names);
	return index;
}

/* As many values as there are names; ethtool's own limit on them is far below this. */
#define MAX_DRIVER_COUNTERS 65536

int linux_driver_counter(const char *device, const char *counter, unsigned long long *value)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_stats *values = 0;
	int result = -1, index = -1;
	int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (socket_ < 0)
		return -1;
	if (ask_driver(socket_, device, &driver) == 0) {
		result = 0;
		if (driver.n_stats > 0 && driver.n_stats <= MAX_DRIVER_COUNTERS)
			index = counter_index(socket_, device, counter, driver.n_stats);
	}
	if (index >= 0)
		values = calloc(1, sizeof(*values) + 2 * sizeof(values->data[0]) * driver.n_stats);
	if (values) {
		values->cmd = ETHTOOL_GSTATS;
		values->n_stats = driver.n_stats;
		if (ask_driver(socket_, device, values) == 0) {
			*value = values->data[index];
			result = 1;
		}
		free(values);
	}
	close(socket_);
	return result;
}

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int) * LINUX_MAX_DESCRIPTORS)];
};

int linux_send_message(int socket, const void *message, size_t size, const int *descriptors, int count)
{
	union control control = {};
	struct iovec body = {.iov_base = (void *)message, .iov_len = size};
	struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};

	if (count > LINUX_MAX_DESCRIPTORS) {
		errno = EINVAL;
		return -1;
	}
	if (count > 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(rights), descriptors, sizeof(int) * count);
	}
	return sendmsg(socket, &header, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int release_code(struct dl_phdr_info *object, size_t size, void *unused)
{
	unsigned long page = sysconf(_SC_PAGESIZE);

	/* A segment that nobody may write is as the file has it. */
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		unsigned long start = object->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)(start & -page), segment->p_memsz + (start & (page - 1)), MADV_DONTNEED);
	}
	return 0;
}

static struct termios terminal;
static int held_messages = -1, messages_end = -1;

/* Calls nothing that a signal handler may not call. */
static void give_terminal_back(int signal)
{
	/* xterm's: alternate screen off, cursor on, keys and attributes as usual. Who does not know them ignores them. */
	static const char sequences[] = "\033[?1049l\033[?25h\033[?1l\033>\033[m\r\n";
	char bytes[512];
	ssize_t count;

	/* A terminal that takes nothing would keep the crash waiting. */
	tcflush(STDOUT_FILENO, TCOFLUSH);
	(void)!write(STDOUT_FILENO, sequences, sizeof(sequences) - 1);
	tcsetattr(STDOUT_FILENO, TCSANOW, &terminal);
	while (held_messages >= 0 && (count = read(held_messages, bytes, sizeof(bytes))) > 0)
		(void)!write(messages_end, bytes, count);
	/* SA_RESETHAND: what crashed crashes again. */
	raise(signal);
}

static void on_crash(void (*handler)(int))
{
	static const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESETHAND};

	for (unsigned int i = 0; i < sizeof(crashes) / sizeof(*crashes); i++)
		sigaction(crashes[i], &action, 0);
}

void linux_remember_terminal(int held, int messages)
{
	held_messages = held;
	messages_end = messages;
	if (tcgetattr(STDOUT_FILENO, &terminal) == 0)
		on_crash(give_terminal_back);
}

void linux_forget_terminal(void)
{
	on_crash(SIG_DFL);
}

int linux_terminal_queue(int terminal, int *bytes)
{
	return ioctl(terminal, TIOCOUTQ, bytes);
}

int linux_memory_file(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC);
}

void linux_release_code(void)
{
	dl_iterate_phdr(release_code, 0);
}

ssize_t linux_receive_message(int socket, void *message, size_t size, int *descriptors, int *count)
{
	union control control;
	struct iovec body = {.iov_base = message, .iov_len = size};
	struct msghdr header = {
		.msg_iov = &body,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t length;

	do {
		length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	*count = 0;
	if (length < 0)
		return -1;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
		*count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(descriptors, CMSG_DATA(rights), sizeof(int) * *count);
	}
	return length;
}
