// SPDX-License-Identifier: Apache-2.0
//
// pagemap and mem of a process.

#include "process/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/path.h"

enum { OH_PAGES_WINDOW = 16384 }; // Pages read at once: 64 MiB of addresses.

static const uint64_t present_bit = UINT64_C(1) << 63;
static const uint64_t swapped_bit = UINT64_C(1) << 62;

static int open_file(const char *root, pid_t pid, const char *name)
{
    char *const path = oh_str_printf("%s/proc/%d/%s", root, (int)pid, name);
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    free(path);
    return fd;
}

int oh_pages_open(const char *root, pid_t pid, struct oh_pages *pages)
{
    struct oh_pages opened = {.map_fd = -1, .mem_fd = -1};
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

// Fills the window with the pages from first on. Without memory for it there is none in it.
static void read_window(const struct oh_pages *pages, struct oh_pages_window *window,
                        uint64_t first)
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

struct oh_residency oh_pages_count(struct oh_pages *pages, uint64_t start, uint64_t end)
{
    struct oh_residency sum = {0};
    while (start < end) {
        const uint64_t page = start / OH_PAGE_BYTES;
        const uint64_t page_end = (page + 1) * OH_PAGE_BYTES;
        const uint64_t bytes = (page_end < end ? page_end : end) - start;
        uint64_t word = 0;
        if (!find_word(pages, page, &word)) {
            break;
        }
        if ((word & present_bit) != 0) {
            sum.resident += bytes;
        } else if ((word & swapped_bit) != 0) {
            sum.swapped += bytes;
        }
        start = page_end;
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
