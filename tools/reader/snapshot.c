// SPDX-License-Identifier: Apache-2.0
//
// Copies the bytes of a recording into memory.

#include "reader/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "offheap/format.h"

// No recording is larger (the bound of OFFHEAP_MAX_BYTES is far below); a file that is, is
// something else.
static const uint64_t max_file_bytes = UINT64_C(1) << 40;

// What refers comes before what is referred to.
static const uint32_t copy_order[] = {OH_SECTION_LIVE, OH_SECTION_INDEX, OH_SECTION_STACKS,
                                      OH_SECTION_MODULES, OH_SECTION_STRINGS};

static int copy_range(int fd, uint8_t *bytes, uint64_t from, uint64_t end)
{
    while (from < end) {
        const ssize_t got = pread(fd, bytes + from, end - from, (off_t)from);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : 0;
        }
        from += (uint64_t)got;
    }
    return 0;
}

// Copies the parts of [from, end) that are not holes; all of it where the file system cannot tell.
static int copy_data(int fd, uint8_t *bytes, uint64_t from, uint64_t end)
{
    while (from < end) {
        const off_t data = lseek(fd, (off_t)from, SEEK_DATA);
        if (data < 0) {
            return errno == ENXIO ? 0 : copy_range(fd, bytes, from, end);
        }
        if ((uint64_t)data >= end) {
            return 0;
        }
        const off_t hole = lseek(fd, data, SEEK_HOLE);
        const uint64_t stop = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
        const int result = copy_range(fd, bytes, (uint64_t)data, stop);
        if (result < 0) {
            return result;
        }
        from = stop;
    }
    return 0;
}

static int copy_sections(int fd, uint8_t *bytes, uint64_t size)
{
    // The header changes while we look: only the places of the sections are taken from this copy,
    // and those never change.
    struct oh_format_header header;
    memcpy(&header, bytes, sizeof header);
    for (size_t kind = 0; kind < sizeof copy_order / sizeof copy_order[0]; kind++) {
        for (size_t i = 0; i < OH_FORMAT_SECTIONS; i++) {
            const struct oh_format_section *const s = &header.sections[i];
            if (s->id != copy_order[kind] || s->offset >= size) {
                continue;
            }
            const uint64_t room = size - s->offset;
            const uint64_t end = s->offset + (s->bytes < room ? s->bytes : room);
            const int result = copy_data(fd, bytes, s->offset, end);
            if (result < 0) {
                return result;
            }
        }
    }
    return 0;
}

// Only the header is copied of a file that is not a recording: opening the view will say so.
static int copy_all(int fd, uint8_t *bytes, uint64_t size)
{
    const uint64_t header_end = size < OH_FORMAT_HEADER_BYTES ? size : OH_FORMAT_HEADER_BYTES;
    int result = copy_range(fd, bytes, 0, header_end);
    if (result < 0 || header_end < OH_FORMAT_HEADER_BYTES ||
        memcmp(bytes, OH_FORMAT_MAGIC, strlen(OH_FORMAT_MAGIC)) != 0) {
        return result;
    }
    result = copy_sections(fd, bytes, size);
    return result < 0 ? result : copy_range(fd, bytes, 0, header_end);
}

static uint64_t nanoseconds(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * UINT64_C(1000000000) + (uint64_t)time->tv_nsec;
}

static int look_at(int fd, const char *name, struct stat *info, struct oh_err *err)
{
    if (fstat(fd, info) != 0) {
        return oh_err_set(err, -errno, "cannot look at %s: %s", name, strerror(errno));
    }
    if ((uint64_t)info->st_size > max_file_bytes) {
        return oh_err_set(err, -EFBIG, "%s is %" PRIu64 " bytes long; no recording is so large",
                          name, (uint64_t)info->st_size);
    }
    return 0;
}

// A level that became ready during the copy made the file longer: it reads as empty.
static int grow(struct oh_snapshot *snapshot, uint64_t size, struct oh_err *err)
{
    if (size <= snapshot->size) {
        return 0;
    }
    void *const larger = mremap(snapshot->bytes, snapshot->size, size, MREMAP_MAYMOVE);
    if (larger == MAP_FAILED) {
        return oh_err_no_memory(err);
    }
    snapshot->bytes = larger;
    snapshot->size = size;
    return 0;
}

int oh_snapshot_take(int fd, const char *name, struct oh_snapshot *snapshot, struct oh_err *err)
{
    struct oh_snapshot copy = {0};
    struct stat info;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int result = look_at(fd, name, &info, err);
    if (result < 0 || info.st_size == 0) {
        *snapshot = copy;
        return result;
    }
    const size_t size = (size_t)info.st_size;
    void *const bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED) {
        return oh_err_no_memory(err);
    }
    copy = (struct oh_snapshot){.bytes = bytes,
                                .size = size,
                                .taken_ns = nanoseconds(&now),
                                .mtime_ns = nanoseconds(&info.st_mtim)};
    result = copy_all(fd, bytes, size);
    if (result < 0) {
        (void)oh_err_set(err, result, "cannot read %s: %s", name, strerror(-result));
    } else {
        result = look_at(fd, name, &info, err);
    }
    if (result == 0) {
        result = grow(&copy, (uint64_t)info.st_size, err);
    }
    if (result < 0) {
        oh_snapshot_fini(&copy);
        return result;
    }
    *snapshot = copy;
    return 0;
}

void oh_snapshot_fini(struct oh_snapshot *snapshot)
{
    if (snapshot->bytes != NULL) {
        (void)munmap(snapshot->bytes, snapshot->size);
    }
    *snapshot = (struct oh_snapshot){0};
}
