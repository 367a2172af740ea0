// SPDX-License-Identifier: GPL-2.0
/*
 * All hooks, in one object: usually all of it is loaded at once, and the kernel's types are read once for it. Where the
 * kernel refuses a program, each hook is loaded alone, from the same object, with the others left out.
 */
#include "connect.bpf.h"
#include "bind.bpf.h"
#include "conntrack.bpf.h"
#include "evictions.bpf.h"
#include "time_wait.bpf.h"
#include "states.bpf.h"
#include "census.bpf.h"

char LICENSE[] SEC("license") = "GPL";
