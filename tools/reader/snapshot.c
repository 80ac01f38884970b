// SPDX-License-Identifier: Apache-2.0
//
// Copies the bytes of a recording into memory.

#include "reader/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "offheap/format.h"

enum { OH_MAP_COPIES = 16 }; // Tries, each of which a busy process may spoil.

// No recording is larger (the bound of OFFHEAP_MAX_BYTES is far below); a file that is, is
// something else.
static const uint64_t max_file_bytes = UINT64_C(1) << 40;

// What refers comes before what is referred to.
static const uint32_t copy_order[] = {OH_SECTION_LIVE,    OH_SECTION_INDEX,   OH_SECTION_STACKS,
                                      OH_SECTION_MODULES, OH_SECTION_STRINGS, OH_SECTION_STEPS};

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

// The file may have become longer: what is behind the old end reads as empty until it is copied.
static int follow(int fd, const char *name, struct oh_snapshot *copy, struct oh_err *err)
{
    struct stat info;
    const int result = look_at(fd, name, &info, err);
    if (result < 0 || (uint64_t)info.st_size <= copy->size) {
        return result;
    }
    void *const larger = mremap(copy->bytes, copy->size, (size_t)info.st_size, MREMAP_MAYMOVE);
    if (larger == MAP_FAILED) {
        return oh_err_no_memory(err);
    }
    copy->bytes = larger;
    copy->size = (size_t)info.st_size;
    return 0;
}

static int copy_kind(int fd, const struct oh_format_header *header, uint32_t id,
                     struct oh_snapshot *copy)
{
    for (size_t i = 0; i < OH_FORMAT_SECTIONS; i++) {
        const struct oh_format_section *const s = &header->sections[i];
        if (s->id != id || s->offset >= copy->size) {
            continue;
        }
        const uint64_t room = copy->size - s->offset;
        const uint64_t end = s->offset + (s->bytes < room ? s->bytes : room);
        const int result = copy_data(fd, copy->bytes, s->offset, end);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

static const struct oh_format_section *find_section(const struct oh_format_header *header,
                                                    uint32_t id, uint32_t level)
{
    for (size_t i = 0; i < OH_FORMAT_SECTIONS; i++) {
        if (header->sections[i].id == id && header->sections[i].level == level) {
            return &header->sections[i];
        }
    }
    return NULL;
}

// Whether the copy has the table of maps that its log says holds, and that table is the same still.
static bool maps_are_whole(int fd, const struct oh_format_header *header,
                           const struct oh_snapshot *copy)
{
    const struct oh_format_section *const log = find_section(header, OH_SECTION_MAP_LOG, 0);
    uint64_t word = 0;
    uint64_t copied = 0;
    uint64_t now = 0;
    if (log == NULL || log->offset > copy->size || copy->size - log->offset < sizeof word) {
        return true; // There are none.
    }
    memcpy(&word, (const uint8_t *)copy->bytes + log->offset, sizeof word);
    const uint32_t number = (uint32_t)word & ((1 << OH_MAP_TABLE_BITS) - 1);
    const struct oh_format_section *const level =
        find_section(header, OH_SECTION_MAPS, number / OH_FORMAT_MAP_TABLES);
    if (level == NULL) {
        return true; // Damaged: the view says so.
    }
    const uint64_t place = level->offset +
                           number % OH_FORMAT_MAP_TABLES * (level->bytes / OH_FORMAT_MAP_TABLES) +
                           offsetof(struct oh_format_map_table, generation);
    if (place > copy->size || copy->size - place < sizeof copied) {
        return false;
    }
    memcpy(&copied, (const uint8_t *)copy->bytes + place, sizeof copied);
    return pread(fd, &now, sizeof now, (off_t)place) == (ssize_t)sizeof now &&
           copied == word >> OH_MAP_TABLE_BITS && now == copied;
}

// The log before the tables: a table that holds stays as it is for some foldings more.
static int copy_maps(int fd, const char *name, const struct oh_format_header *header,
                     struct oh_snapshot *copy, struct oh_err *err)
{
    int result = 0;
    bool whole = false;
    for (int i = 0; i < OH_MAP_COPIES && result == 0 && !whole; i++) {
        result = follow(fd, name, copy, err);
        if (result == 0) {
            result = copy_kind(fd, header, OH_SECTION_MAP_LOG, copy);
        }
        if (result == 0) {
            result = copy_kind(fd, header, OH_SECTION_MAPS, copy);
        }
        whole = maps_are_whole(fd, header, copy);
    }
    return result;
}

static int cannot_read(int code, const char *name, struct oh_err *err)
{
    return oh_err_set(err, code, "cannot read %s: %s", name, strerror(-code));
}

static int copy_sections(int fd, const char *name, struct oh_snapshot *copy, struct oh_err *err)
{
    // The header changes while we look: only the places of the sections are taken from this copy,
    // and those never change.
    struct oh_format_header header;
    memcpy(&header, copy->bytes, sizeof header);
    const int maps = copy_maps(fd, name, &header, copy, err);
    if (maps < 0) {
        return cannot_read(maps, name, err);
    }
    for (size_t i = 0; i < sizeof copy_order / sizeof copy_order[0]; i++) {
        // What was just copied may refer to a level that was opened meanwhile.
        int result = follow(fd, name, copy, err);
        if (result < 0) {
            return result;
        }
        result = copy_kind(fd, &header, copy_order[i], copy);
        if (result < 0) {
            return cannot_read(result, name, err);
        }
    }
    return 0;
}

// Only the header is copied of a file that is not a recording: opening the view will say so.
static int copy_all(int fd, const char *name, struct oh_snapshot *copy, struct oh_err *err)
{
    const uint64_t header_end =
        copy->size < OH_FORMAT_HEADER_BYTES ? copy->size : OH_FORMAT_HEADER_BYTES;
    int result = copy_range(fd, copy->bytes, 0, header_end);
    if (result < 0) {
        return cannot_read(result, name, err);
    }
    if (header_end < OH_FORMAT_HEADER_BYTES ||
        memcmp(copy->bytes, OH_FORMAT_MAGIC, strlen(OH_FORMAT_MAGIC)) != 0) {
        return 0;
    }
    result = copy_sections(fd, name, copy, err);
    if (result < 0) {
        return result;
    }
    result = copy_range(fd, copy->bytes, 0, header_end);
    // The header may know of a level that nothing copied refers to.
    return result < 0 ? cannot_read(result, name, err) : follow(fd, name, copy, err);
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
    result = copy_all(fd, name, &copy, err);
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
