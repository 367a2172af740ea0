// SPDX-License-Identifier: GPL-2.0
/*
 * The hooks for ports, in one object: usually all of it is loaded at once, and the kernel's types are read once for it.
 * Where the kernel refuses a program, each hook is loaded alone, from the same object, with the other's left out.
 */
#include "connect.bpf.h"
#include "bind.bpf.h"

char LICENSE[] SEC("license") = "GPL";
