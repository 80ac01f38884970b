// SPDX-License-Identifier: Apache-2.0
//
// Asks a live process through its recording.

#include "reader/ask.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "offheap/format.h"
#include "reader/locate.h"

enum { OH_ASK_STEPS = 60, OH_ASK_STEP_NS = 20 * 1000 * 1000 };

// By its descriptor, which names it whatever the mount namespace; -1: no.
static int open_recording(pid_t pid, const char *path)
{
    struct oh_mapped_recording mapped;
    char name[64];
    if (path != NULL) {
        return open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    }
    if (oh_locate_mapped(pid, &mapped) < 0) {
        return -1;
    }
    const int reading = oh_locate_open_mapped(pid, &mapped);
    oh_mapped_recording_fini(&mapped);
    if (reading < 0) {
        return -1;
    }
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", reading);
    const int fd = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    (void)close(reading);
    return fd;
}

static bool read_header(int fd, struct oh_format_header *header)
{
    return pread(fd, header, sizeof *header, 0) == (ssize_t)sizeof *header &&
           memcmp(header->magic, OH_FORMAT_MAGIC, sizeof header->magic) == 0 &&
           header->major == OH_FORMAT_MAJOR;
}

static bool can_answer(const struct oh_format_header *header)
{
    return header->state == OH_STATE_RECORDING && (header->flags & OH_FLAG_JEMALLOC) != 0;
}

static void ask(int fd)
{
    const off_t at = (off_t)(offsetof(struct oh_format_header, jemalloc) +
                             offsetof(struct oh_format_jemalloc, wanted));
    const struct timespec step = {.tv_nsec = OH_ASK_STEP_NS};
    struct oh_format_header header;
    if (!read_header(fd, &header) || !can_answer(&header)) {
        return;
    }
    const uint64_t before_ns = header.jemalloc.time_ns;
    const uint64_t wanted = header.jemalloc.wanted + 1;
    if (pwrite(fd, &wanted, sizeof wanted, at) != (ssize_t)sizeof wanted) {
        return;
    }
    for (int i = 0; i < OH_ASK_STEPS; i++) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
        if (!read_header(fd, &header) || !can_answer(&header) ||
            header.jemalloc.time_ns != before_ns) {
            return;
        }
    }
}

void oh_ask_jemalloc(pid_t pid, const char *path)
{
    const int fd = open_recording(pid, path);
    if (fd >= 0) {
        ask(fd);
        (void)close(fd);
    }
}
