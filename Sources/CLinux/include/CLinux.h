/*
 * The parts of Linux's C interface that `import Glibc` leaves out, and accessors for what Swift cannot
 * import: variadic functions, macros with arguments, mutable globals. It must not define _GNU_SOURCE: with it some
 * structs look different than in Swift's own Glibc module.
 */
#ifndef CLINUX_H
#define CLINUX_H

#include <getopt.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>

/* getopt_long's globals, which Swift 6 refuses as shared mutable state. */
static inline const char *linux_optarg(void)
{
	return optarg;
}
static inline int linux_optind(void)
{
	return optind;
}
static inline int linux_optopt(void)
{
	return optopt;
}
/* Begins anew and leaves the messages to the caller. */
static inline void linux_getopt_reset(void)
{
	optind = 0;
	opterr = 0;
}

/* fork(), which Swift's importer marks as unavailable. Only a process with one thread may call it from Swift. */
pid_t linux_fork(void);

/* Gives this process a mount namespace of its own, a copy. 0, or -1 with errno. */
int linux_unshare_mounts(void);

/* Takes this thread, and no other, into an open network namespace. 0, or -1 with errno. */
int linux_enter_network_namespace(int descriptor);

/*
 * openat2(2), Linux 5.6: opens a path below an open directory, with RESOLVE_* flags. It creates nothing. The descriptor,
 * closed by exec, or -1 with errno.
 */
int linux_open_below(int directory, const char *path, int flags, unsigned long long resolve);

/* Not in Swift's Glibc module without _GNU_SOURCE: opens a place in the file system and not what is there. */
extern const int linux_o_path;

/* Swift cannot import the variadic prctl(). Kills this process when its parent ends. */
int linux_die_with_parent(void);

/*
 * A counter of a network device's driver by its name there (`ethtool -S`), of the caller's network namespace. Returns 1
 * with the value, 0 where the driver has none of that name, or -1 with errno.
 */
int linux_driver_counter(const char *device, const char *counter, unsigned long long *value);

/*
 * Lets go of this program's own code and constants in memory: what is used again comes back from its file. What only the
 * start has used then takes no memory.
 */
void linux_release_code(void);

/*
 * Remembers the modes of the terminal on standard output, and gives it back if this process crashes: with these modes, off
 * the alternate screen, its cursor shown. What `held` has to be read is written to `messages` then; -1: nothing is.
 */
void linux_remember_terminal(int held, int messages);
/* A crash is a crash again. */
void linux_forget_terminal(void);

/* Bytes that the terminal was given and has not sent yet. 0, or -1 with errno. */
int linux_terminal_queue(int terminal, int *bytes);

/* memfd_create(2): a file in memory, closed by exec. The descriptor, or -1 with errno. */
int linux_memory_file(const char *name);

/* As many descriptors as one message carries (SCM_MAX_FD, include/net/scm.h). */
#define LINUX_MAX_DESCRIPTORS 253

/*
 * One message with descriptors (SCM_RIGHTS) over a SOCK_SEQPACKET socket. Sending returns 0 or -1 with errno.
 * Receiving returns the message's length, or -1 with errno; it sets *count to the number of descriptors, which are
 * the caller's to close and are closed by exec. Sizes in bytes.
 */
int linux_send_message(int socket, const void *message, size_t size, const int *descriptors, int count);
ssize_t linux_receive_message(int socket, void *message, size_t size, int *descriptors, int *count);

#endif
