// SPDX-License-Identifier: Apache-2.0
//
// What /proc says of a process: who it is, whose, what it runs, its environment, its mappings.
// A process may end at any moment: every function then returns -ESRCH. -EACCES or -EPERM: it
// belongs to another user. Nothing here stops, signals or writes to a process.

#ifndef OH_BASE_PROC_H
#define OH_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct oh_proc {
    pid_t pid;
    pid_t ns_pid;         // As the process itself sees it, in its own pid namespace.
    pid_t parent;         // 0: in none of our pid namespace.
    uint64_t start_ticks; // Since boot, in clock ticks: with the pid, its identity.
    uint64_t stack_start; // Address: another one after an exec. 0 when it may not be read.
    uid_t uid;
    char state;     // As in /proc/PID/stat.
    bool has_ended; // It runs nothing any more and has no memory, waited for or not.
    bool is_kernel; // A kernel thread: it never had memory of its own.
    char comm[64];  // The short name.
    char *exe;      // Path of the executable, NULL when it may not be read.
};

// One line of /proc/PID/maps, or the first one of a map in /proc/PID/smaps.
struct oh_proc_map {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    uint64_t inode;
    dev_t device;
    char permissions[5]; // "rw-p".
    const char *path;    // Without " (deleted)"; "" when anonymous.
    bool is_deleted;
};

int oh_proc_get(pid_t pid, struct oh_proc *proc);
void oh_proc_fini(struct oh_proc *proc);

// What the text of /proc/PID/stat says: comm, state, parent, has_ended, is_kernel,
// start_ticks. -EINVAL: it is none.
int oh_proc_parse_stat(const char *stat, struct oh_proc *proc);

// A variable of the environment that the process was started with. 0 with *value (to be freed),
// -ENOENT when it is not set.
int oh_proc_environ(pid_t pid, const char *name, char **value);

// Whether the kernel told the process that it runs with raised privileges (AT_SECURE).
int oh_proc_is_secure(pid_t pid, bool *is_secure);

// The target of a link as /proc/PID/exe is one, to be freed; NULL when it cannot be read.
char *oh_proc_read_link(const char *link);

// The line is cut: map->path points into it. False: it is no such line.
bool oh_proc_parse_map(char *line, struct oh_proc_map *map);

// Not 0 from fn ends the walk and is returned.
typedef int oh_proc_map_fn(void *arg, const struct oh_proc_map *map);
int oh_proc_each_map(pid_t pid, oh_proc_map_fn *fn, void *arg);

// Every process, in the order of their numbers.
typedef int oh_proc_fn(void *arg, pid_t pid);
int oh_proc_each(oh_proc_fn *fn, void *arg);

// Seconds since the process with these start_ticks began.
uint64_t oh_proc_age_s(uint64_t start_ticks);

#endif
