// SPDX-License-Identifier: Apache-2.0
//
// pagemap and mem of a process.

#include "process/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/path.h"

enum { OH_PAGES_WINDOW = 16384 }; // Pages read at once: 64 MiB of addresses.

static const uint64_t present_bit = UINT64_C(1) << 63;
static const uint64_t swapped_bit = UINT64_C(1) << 62;

static const uint64_t file_bit = UINT64_C(1) << 61;      // Of a file, or shared memory.
static const uint64_t exclusive_bit = UINT64_C(1) << 56; // In this page map alone.

// The kernel's PAGEMAP_SCAN, since 6.7 (linux/fs.h of Debian 12 does not have it).
struct oh_pages_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct oh_pages_scan {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t regions;
    uint64_t region_count;
    uint64_t max_pages;
    uint64_t inverted;
    uint64_t mask;
    uint64_t any_of;
    uint64_t returned;
};

enum { OH_PAGES_REGIONS = 256 };
static const uint64_t zero_page_category = UINT64_C(1) << 5;

static int open_file(const char *root, pid_t pid, const char *name)
{
    char *const path = oh_str_printf("%s/proc/%d/%s", root, (int)pid, name);
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    free(path);
    return fd;
}

int oh_pages_open(const char *root, pid_t pid, const struct oh_smaps *smaps, struct oh_pages *pages)
{
    struct oh_pages opened = {.map_fd = -1, .mem_fd = -1, .smaps = smaps};
    opened.windows = calloc(OH_PAGES_WINDOWS, sizeof opened.windows[0]);
    if (opened.windows == NULL) {
        return -ENOMEM;
    }
    opened.map_fd = open_file(root, pid, "pagemap");
    opened.mem_fd = open_file(root, pid, "mem");
    *pages = opened;
    return 0;
}

void oh_pages_close(struct oh_pages *pages)
{
    if (pages->map_fd >= 0) {
        (void)close(pages->map_fd);
    }
    if (pages->mem_fd >= 0) {
        (void)close(pages->mem_fd);
    }
    for (size_t i = 0; pages->windows != NULL && i < OH_PAGES_WINDOWS; i++) {
        free(pages->windows[i].words);
    }
    free(pages->windows);
    *pages = (struct oh_pages){.map_fd = -1, .mem_fd = -1};
}

bool oh_pages_has_map(const struct oh_pages *pages)
{
    return pages->map_fd >= 0;
}

bool oh_pages_has_memory(const struct oh_pages *pages)
{
    return pages->map_fd >= 0 && pages->mem_fd >= 0;
}

// Whether the word may be of the kernel's page of zeros: there, of no file, and not ours alone.
static bool may_be_zero(uint64_t word)
{
    return (word & (present_bit | file_bit | exclusive_bit)) == present_bit;
}

// Pages of zeros are not resident. An older kernel gives no answer.
static void drop_zero_pages(struct oh_pages *pages, struct oh_pages_window *window)
{
    struct oh_pages_region regions[OH_PAGES_REGIONS];
    const uint64_t end = (window->first + window->count) * OH_PAGE_BYTES;
    struct oh_pages_scan scan = {.size = sizeof scan,
                                 .start = window->first * OH_PAGE_BYTES,
                                 .end = end,
                                 .regions = (uint64_t)(uintptr_t)regions,
                                 .region_count = OH_PAGES_REGIONS,
                                 .mask = zero_page_category,
                                 .returned = zero_page_category};
    while (scan.start < end) {
        const long count = ioctl(pages->map_fd, _IOWR('f', 16, struct oh_pages_scan), &scan);
        for (long i = 0; i < count; i++) {
            for (uint64_t page = regions[i].start / OH_PAGE_BYTES;
                 page < regions[i].end / OH_PAGE_BYTES && page - window->first < window->count;
                 page++) {
                window->words[page - window->first] = 0;
            }
        }
        pages->has_zero_pages = pages->has_zero_pages || count < 0;
        if (count <= 0 || scan.walk_end <= scan.start) {
            break;
        }
        scan.start = scan.walk_end;
    }
}

// Fills the window with the pages from first on. Without memory for it there is none in it.
static void read_window(struct oh_pages *pages, struct oh_pages_window *window, uint64_t first)
{
    const size_t bytes = OH_PAGES_WINDOW * sizeof window->words[0];
    window->first = first;
    window->count = 0;
    window->is_read = true;
    if (window->words == NULL) {
        window->words = malloc(bytes);
    }
    if (window->words == NULL || pages->map_fd < 0) {
        return;
    }
    const off_t at = (off_t)(first * sizeof window->words[0]);
    const ssize_t got = pread(pages->map_fd, window->words, bytes, at);
    window->count = got > 0 ? (size_t)got / sizeof window->words[0] : 0;
    for (size_t i = 0; i < window->count; i++) {
        if (may_be_zero(window->words[i])) {
            drop_zero_pages(pages, window);
            break;
        }
    }
}

// The word of a page: false when the map has none.
static bool find_word(struct oh_pages *pages, uint64_t page, uint64_t *word)
{
    const uint64_t first = page / OH_PAGES_WINDOW * OH_PAGES_WINDOW;
    struct oh_pages_window *const window =
        &pages->windows[page / OH_PAGES_WINDOW % OH_PAGES_WINDOWS];
    if (!window->is_read || window->first != first) {
        read_window(pages, window, first);
    }
    if (page - first >= window->count) {
        return false;
    }
    *word = window->words[page - first];
    return true;
}

// Of a range inside one map.
static void count_pages(struct oh_pages *pages, uint64_t start, uint64_t end,
                        struct oh_residency *sum)
{
    while (start < end) {
        const uint64_t page = start / OH_PAGE_BYTES;
        const uint64_t page_end = (page + 1) * OH_PAGE_BYTES;
        const uint64_t bytes = (page_end < end ? page_end : end) - start;
        uint64_t word = 0;
        if (!find_word(pages, page, &word)) {
            break;
        }
        if ((word & present_bit) != 0) {
            sum->resident += bytes;
        } else if ((word & swapped_bit) != 0) {
            sum->swapped += bytes;
        }
        start = page_end;
    }
}

struct oh_residency oh_pages_count(struct oh_pages *pages, uint64_t start, uint64_t end)
{
    const struct oh_smaps *const smaps = pages->smaps;
    struct oh_residency sum = {0};
    for (size_t i = oh_smaps_after(smaps, start); i < smaps->count && smaps->maps[i].start < end;
         i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        count_pages(pages, map->start > start ? map->start : start, map->end < end ? map->end : end,
                    &sum);
    }
    return sum;
}

uint64_t oh_pages_next_resident(struct oh_pages *pages, uint64_t start, uint64_t end)
{
    for (uint64_t page = start / OH_PAGE_BYTES; page * OH_PAGE_BYTES < end; page++) {
        uint64_t word = 0;
        if (!find_word(pages, page, &word)) {
            break;
        }
        if ((word & present_bit) != 0) {
            const uint64_t address = page * OH_PAGE_BYTES;
            return address > start ? address : start;
        }
    }
    return end;
}

bool oh_pages_read(struct oh_pages *pages, uint64_t address, void *bytes, size_t size)
{
    if (pages->mem_fd < 0 || oh_pages_count(pages, address, address + size).resident != size) {
        return false;
    }
    return pread(pages->mem_fd, bytes, size, (off_t)address) == (ssize_t)size;
}
