/*
 * The parts of Linux's C interface that `import Glibc` leaves out, and accessors for what Swift cannot
 * import: variadic functions, macros with arguments, mutable globals.
 */
#ifndef CLINUX_H
#define CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* getopt_long's globals, which Swift 6 refuses as shared mutable state. */
static inline const char *linux_optarg(void) { return optarg; }
static inline int linux_optind(void) { return optind; }
static inline int linux_optopt(void) { return optopt; }
static inline void linux_getopt_reset(void) { optind = 0; opterr = 0; }

#endif
