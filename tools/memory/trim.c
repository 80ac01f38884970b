// SPDX-License-Identifier: Apache-2.0
//
// malloc_trim and jemalloc's purge.

#include "memory/trim.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "memory/own_maps.h"
#include "process/pages.h"
#include "process/remote_call.h"
#include "process/remote_symbol.h"
#include "process/smaps.h"

// A thread's stack must have this below it: a goroutine's has not.
static const uint64_t stack_room = 64 << 10;

// That the call may wait for a lock while it is watched.
static const int lock_ms = 10000;

static const char jemalloc_purge[] = "arena.4096.purge"; // 4096: all arenas.

struct oh_trim_check {
    struct oh_smaps smaps;
    struct oh_pages pages;
};

// Whether the thread stands on its own stack: the first thread's, or one that holds the description
// of its thread. Go's small stacks are neither.
static int check_stack(void *arg, uint64_t stack_pointer, uint64_t pc)
{
    struct oh_trim_check *const check = arg;
    const struct oh_smap *const map = oh_smaps_find(&check->smaps, stack_pointer);
    (void)pc;
    if (map == NULL || (map->permissions & OH_SMAP_WRITE) == 0) {
        return -EBUSY;
    }
    if (strcmp(map->name, "[stack]") == 0) {
        return 0; // It grows.
    }
    struct oh_claims stacks = {0};
    uint64_t budget = 65536;
    bool is_inside = false;
    if (oh_glibc_find_threads(&check->pages, map->start, map->end, &budget, &stacks) == 0) {
        for (size_t i = 0; i < stacks.count; i++) {
            is_inside = is_inside || (stack_pointer < stacks.list[i].end &&
                                      stack_pointer >= stacks.list[i].start + stack_room);
        }
    }
    oh_claims_fini(&stacks);
    return is_inside ? 0 : -EBUSY;
}

static int explain(int code, pid_t pid, const char *what, struct oh_err *err)
{
    switch (code) {
    case -EPERM:
    case -EACCES:
        return oh_err_set(err, code,
                          "--trim: process %d may not be traced, or a debugger traces it already\n"
                          "try: with sudo (in a container: CAP_SYS_PTRACE; see "
                          "/proc/sys/kernel/yama/ptrace_scope)",
                          (int)pid);
    case -EBUSY:
        return oh_err_set(err, code,
                          "--trim: no thread of process %d waits in a system call where it can be "
                          "asked safely; nothing was tried\ntry: again",
                          (int)pid);
    case -ETIMEDOUT:
        return oh_err_set(err, code,
                          "--trim: %s waits for a lock of the allocator; process %d finishes it by "
                          "itself when the lock is free",
                          what, (int)pid);
    case -ESRCH: return oh_err_set(err, code, "--trim: process %d has ended", (int)pid);
    default:
        return oh_err_set(err, code, "--trim: %s in process %d: %s", what, (int)pid,
                          strerror(-code));
    }
}

// jemalloc's mallctl, by whatever name, in its library or inside of the program.
static int find_mallctl(pid_t pid, const struct oh_smaps *smaps, uint64_t *address)
{
    static const char *const names[] = {"je_mallctl", "mallctl", "_rjem_mallctl", "jemallctl"};
    int result = oh_remote_symbol_find("", pid, smaps, "libjemalloc", "mallctl", address);
    char *const link = oh_str_printf("/proc/%d/exe", (int)pid);
    char path[PATH_MAX] = "";
    if (link != NULL && readlink(link, path, sizeof path - 1) < 0) {
        path[0] = '\0';
    }
    free(link);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && result == -ENOENT; i++) {
        result = oh_remote_symbol_find_inside("", pid, smaps, path, names[i], address);
    }
    return result;
}

static int find_call(pid_t pid, enum oh_allocator allocator, const struct oh_smaps *smaps,
                     struct oh_remote_call *call, const char **what)
{
    *call = (struct oh_remote_call){.limit_ms = lock_ms};
    *what = "malloc_trim(0)";
    const int result = oh_remote_symbol_find_sigreturn("", pid, smaps, &call->restorer);
    if (result < 0) {
        return result;
    }
    switch (allocator) {
    case OH_ALLOCATOR_GLIBC:
        return oh_remote_symbol_find("", pid, smaps, "libc.so", "malloc_trim", &call->function);
    case OH_ALLOCATOR_JEMALLOC:
        *what = "jemalloc's purge of all arenas";
        call->text = jemalloc_purge;
        return find_mallctl(pid, smaps, &call->function);
    case OH_ALLOCATOR_OTHER: break;
    }
    return -ENOENT;
}

int oh_trim(pid_t pid, enum oh_allocator allocator, const char **what, struct oh_err *err)
{
    struct oh_trim_check check = {0};
    struct oh_remote_call call;
    int result = oh_smaps_read("", pid, &check.smaps);
    if (result < 0) {
        return explain(result, pid, "--trim", err);
    }
    result = oh_pages_open("", pid, &check.smaps, &check.pages);
    if (result == 0) {
        result = find_call(pid, allocator, &check.smaps, &call, what);
        if (result == -ENOENT) {
            result = oh_err_set(err, -ENOENT,
                                "--trim: process %d has neither glibc's malloc_trim nor jemalloc's "
                                "mallctl under a name that can be found (a stripped program has "
                                "none)",
                                (int)pid);
        } else {
            result = result == 0 ? oh_remote_call(pid, &call, check_stack, &check) : result;
            result = result < 0 ? explain(result, pid, *what, err) : 0;
        }
        oh_pages_close(&check.pages);
    }
    oh_smaps_fini(&check.smaps);
    return result;
}
