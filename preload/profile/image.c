// SPDX-License-Identifier: Apache-2.0
//
// See image.h.

#include "profile/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/maps.h"
#include "base/sys.h"
#include "base/text.h"

enum { LINK_BYTES = 64 };

// The path may come out of a recording that somebody else wrote: only a regular file is opened, as
// opening some devices does something.
static long open_regular(const char *path, struct stat *st)
{
    char link[LINK_BYTES];
    struct oh_text text;
    long place = oh_sys_open(path, O_PATH, 0);
    if (place < 0)
        return place;
    long rc = oh_sys_fstat((int)place, st);
    if (rc == 0 && (!S_ISREG(st->st_mode) || st->st_size <= 0))
        rc = -ENOEXEC;
    if (rc == 0) {
        oh_text_init(&text, link, sizeof link);
        oh_text_add(&text, "/proc/self/fd/");
        oh_text_add_u64(&text, (uint64_t)place);
        rc = oh_sys_open(link, O_RDONLY, 0);
    }
    (void)oh_sys_close((int)place);
    return rc;
}

static int map_file(struct oh_image *image, int fd, const struct stat *st)
{
    size_t size = (size_t)st->st_size;
    long mapped = oh_sys_mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (oh_sys_failed(mapped))
        return (int)mapped;
    image->bytes = (const uint8_t *)(uintptr_t)mapped;
    image->size = size;
    return 0;
}

static bool is_same_file(const struct stat *st, const struct oh_format_module *identity)
{
    uint64_t mtime_ns =
        (uint64_t)st->st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st->st_mtim.tv_nsec;
    return (identity->file_bytes == 0 || identity->file_bytes == (uint64_t)st->st_size) &&
           (identity->file_inode == 0 || identity->file_inode == (uint64_t)st->st_ino) &&
           (identity->file_mtime_ns == 0 || identity->file_mtime_ns == mtime_ns);
}

// A Go build id that is longer than the recording has room for was recorded by its end.
static bool ends_with(struct oh_elf_bytes id, const struct oh_format_module *identity)
{
    size_t length = identity->build_id_bytes;
    bool whole = length < OH_FORMAT_BUILD_ID_BYTES ? id.len == length : id.len >= length;
    return id.data != NULL && whole &&
           memcmp(id.data + (id.len - length), identity->build_id, length) == 0;
}

static bool has_identity(const struct oh_image *image, const struct stat *st,
                         const struct oh_format_module *identity)
{
    uint8_t id[OH_ELF_BUILD_ID_MAX];
    switch (identity->build_id_kind) {
    case OH_ID_GNU: {
        size_t length = oh_elf_build_id(&image->elf, id);
        return length == identity->build_id_bytes && memcmp(id, identity->build_id, length) == 0;
    }
    case OH_ID_GO: return ends_with(oh_elf_go_build_id(&image->elf), identity);
    default: return is_same_file(st, identity);
    }
}

int oh_image_open(struct oh_image *image, const char *path, const struct oh_format_module *identity)
{
    struct oh_image made = {0};
    struct stat st;
    long fd = open_regular(path, &st);
    if (fd < 0)
        return (int)fd;
    int rc = map_file(&made, (int)fd, &st);
    (void)oh_sys_close((int)fd);
    if (rc == 0)
        rc = oh_elf_open(&made.elf, made.bytes, made.size);
    if (rc == 0 && identity != NULL && !has_identity(&made, &st, identity))
        rc = -ESTALE;
    if (rc == 0)
        *image = made;
    else
        oh_image_close(&made);
    return rc;
}

void oh_image_close(struct oh_image *image)
{
    if (image->bytes != NULL)
        (void)oh_sys_munmap((void *)(uintptr_t)image->bytes, image->size);
    memset(image, 0, sizeof *image);
}

static void extend(const struct oh_map *map, void *end)
{
    uint64_t *reached = end;
    if (map->readable && map->begin <= *reached && *reached < map->end)
        *reached = map->end;
}

size_t oh_image_loaded_bytes(uint64_t address)
{
    uint64_t end = address;
    (void)oh_maps_each(extend, &end);
    return (size_t)(end - address);
}
