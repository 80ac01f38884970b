// SPDX-License-Identifier: Apache-2.0
#include "support/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording/recording.h"
#include "support/child.h"
#include "support/scratch.h"
#include "support/tables.h"

int oh_file_try(const char *dir, uint64_t max_bytes, enum oh_format_off_reason *reason)
{
    struct oh_config config;
    struct oh_process_facts process;
    oh_tables_config(&config, dir, max_bytes);
    oh_process_read(&process);
    return oh_recording_create(&config, &process, reason);
}

void oh_file_create(const char *dir, uint64_t max_bytes)
{
    enum oh_format_off_reason reason;
    oh_require_equal(oh_file_try(dir, max_bytes, &reason), 0);
    oh_require_equal(reason, OH_OFF_none);
}

void oh_file_refuse(const char *dir, int error, enum oh_format_off_reason wanted)
{
    char found[OH_SCRATCH_BYTES];
    enum oh_format_off_reason reason;
    oh_require_equal(oh_file_try(dir, UINT64_C(8) << 20, &reason), error);
    oh_require_equal(reason, wanted);
    oh_require(oh_recording_header() == NULL);
    oh_recording_count(OH_COUNTER_early_calls); // harmless without a recording
    oh_require_equal(oh_scratch_list(dir, found), 0);
}

struct oh_format_section *oh_file_last_level(enum oh_format_section_id id)
{
    struct oh_format_section *last = NULL;
    for (uint32_t level = 0; oh_recording_section(id, level) != NULL; level++)
        last = oh_recording_section(id, level);
    return last;
}

uint64_t oh_file_bytes(const char *path)
{
    struct stat st;
    oh_require(stat(path, &st) == 0);
    return (uint64_t)st.st_size;
}

int oh_file_descriptor(void)
{
    struct stat file, other;
    oh_require(stat(oh_recording_path(), &file) == 0);
    for (int fd = 0; fd < 65536; fd++) {
        if (fstat(fd, &other) == 0 && other.st_ino == file.st_ino && other.st_dev == file.st_dev)
            return fd;
    }
    return -1;
}

void oh_file_put_theirs(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    oh_require(fd >= 0 && write(fd, "theirs", 6) == 6);
    (void)close(fd);
}

void oh_file_must_be_theirs(const char *path)
{
    char bytes[16] = "";
    int fd = open(path, O_RDONLY);
    oh_require(fd >= 0 && read(fd, bytes, sizeof bytes) == 6);
    oh_require(memcmp(bytes, "theirs", 6) == 0);
    (void)close(fd);
}
