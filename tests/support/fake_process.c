// SPDX-License-Identifier: Apache-2.0
//
// See fake_process.h.

#include "support/fake_process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"

static const char *path_of(const struct oh_fake_process *process, const char *name)
{
    static char path[OH_SCRATCH_BYTES + 64];
    (void)snprintf(path, sizeof path, "%s/proc/%d/%s", process->root, OH_FAKE_PID, name);
    return path;
}

static int make_file(const struct oh_fake_process *process, const char *name)
{
    const int fd = open(path_of(process, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    // As long as the addresses: what was not written is zero, and not an end.
    assert_int_equal(ftruncate(fd, name[0] == 'p' ? 4 << 20 : INT64_C(1) << 31), 0);
    return fd;
}

void oh_fake_make(struct oh_fake_process *process)
{
    char directory[OH_SCRATCH_BYTES + 32];
    *process = (struct oh_fake_process){0};
    oh_scratch_make(process->root, NULL);
    (void)snprintf(directory, sizeof directory, "%s/proc", process->root);
    assert_int_equal(mkdir(directory, 0700), 0);
    (void)snprintf(directory, sizeof directory, "%s/proc/%d", process->root, OH_FAKE_PID);
    assert_int_equal(mkdir(directory, 0700), 0);
    process->map_fd = make_file(process, "pagemap");
    process->mem_fd = make_file(process, "mem");
}

void oh_fake_remove(struct oh_fake_process *process)
{
    assert_int_equal(close(process->map_fd), 0);
    assert_int_equal(close(process->mem_fd), 0);
    oh_scratch_remove(process->root);
}

void oh_fake_map(struct oh_fake_process *process, uint64_t start, uint64_t end,
                 const char *permissions, unsigned inode, const char *name, uint64_t resident,
                 const char *flags)
{
    const size_t used = strlen(process->smaps);
    const int length = snprintf(
        process->smaps + used, sizeof process->smaps - used,
        "%08" PRIx64 "-%08" PRIx64 " %s 00000000 fe:00 %u %25s\nSize: %12" PRIu64
        " kB\nRss: %12" PRIu64
        " kB\nAnonymous: %8d kB\nSwap: %8d kB\nVmFlags: rd wr mr mw me ac %s\n",
        start, end, permissions, inode, name, (end - start) / 1024, resident / 1024, 0, 0, flags);
    assert_true(length > 0 && (size_t)length < sizeof process->smaps - used);
    process->resident += resident;
}

static void set_pages(const struct oh_fake_process *process, uint64_t start, uint64_t end, int bit)
{
    const uint64_t word = UINT64_C(1) << bit;
    for (uint64_t page = start / OH_FAKE_PAGE; page < end / OH_FAKE_PAGE; page++) {
        assert_int_equal(pwrite(process->map_fd, &word, sizeof word, (off_t)(page * sizeof word)),
                         sizeof word);
    }
}

void oh_fake_touch(struct oh_fake_process *process, uint64_t start, uint64_t end)
{
    set_pages(process, start, end, 63);
}

void oh_fake_swap(struct oh_fake_process *process, uint64_t start, uint64_t end)
{
    set_pages(process, start, end, 62);
}

void oh_fake_put(struct oh_fake_process *process, uint64_t address, const void *bytes, size_t size)
{
    assert_int_equal(pwrite(process->mem_fd, bytes, size, (off_t)address), size);
}

void oh_fake_write(const struct oh_fake_process *process, const char *name, const char *text)
{
    FILE *const file = fopen(path_of(process, name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void oh_fake_hide(const struct oh_fake_process *process, const char *name)
{
    assert_int_equal(unlink(path_of(process, name)), 0);
}

void oh_fake_finish(struct oh_fake_process *process, uint64_t more)
{
    char rollup[256];
    (void)snprintf(rollup, sizeof rollup,
                   "00400000-7fff0000 ---p 00000000 00:00 0    [rollup]\nRss: %12" PRIu64
                   " kB\nSwap: 0 kB\n",
                   (process->resident + more) / 1024);
    oh_fake_write(process, "smaps", process->smaps);
    oh_fake_write(process, "smaps_rollup", rollup);
}
