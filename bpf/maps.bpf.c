// SPDX-License-Identifier: GPL-2.0
/* The shared maps and nothing else: loaded first, so that each hook's object can be loaded, or refused, alone. */
#include "maps.bpf.h"
#include "conntrack_maps.bpf.h"
#include "census_maps.bpf.h"
#include "time_wait_owner.bpf.h"

char LICENSE[] SEC("license") = "GPL";
