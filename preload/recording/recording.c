// SPDX-License-Identifier: Apache-2.0
#include "recording/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "base/text.h"
#include "recording/layout.h"
#include "recording/place.h"

enum {
    NAME_TRIES = 16,
    HIGH_FD = 900, // Out of the way of programs that close or reuse low descriptors.
    ARGS_BYTES = 4096,
    NOTE_BYTES = 160,
    AHEAD_BYTES = 8 << 20,
    RETRY_CALLS = 1024,
};

static const uint64_t ns_per_ms = UINT64_C(1000000);

// The process-wide state of this module; written by oh_recording_create only, but for `refusals`.
static struct {
    struct oh_format_header *header;
    uint8_t *base;
    uint64_t mapped_bytes;
    int fd; // Kept for later reservations, never trusted: see file_is_ours. 0 before the map.
    uint64_t device, inode;
    // Calls since growing was refused for a reason that may pass; 0: none was. The one word that is
    // written later, apart from those that every recorded event reads.
    uint64_t refusals OH_OWN_LINES;
    char path[OH_PLACE_PATH_BYTES];
    char unpublished[OH_PLACE_PATH_BYTES];
} OH_OWN_LINES recording;

struct oh_format_header *oh_recording_header(void)
{
    return recording.header;
}

const char *oh_recording_path(void)
{
    return recording.path;
}

void *oh_recording_at(uint64_t offset)
{
    return recording.base + offset;
}

const void *oh_recording_base(size_t *size)
{
    uint64_t end = OH_FORMAT_HEADER_BYTES;
    const struct oh_format_header *header = recording.header;
    if (header == NULL)
        return NULL;
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct oh_format_section *section = &header->sections[i];
        if (oh_recording_ready(section) && section->offset + section->bytes > end)
            end = section->offset + section->bytes;
    }
    *size = end;
    return recording.base;
}

struct oh_format_section *oh_recording_section(enum oh_format_section_id id, uint32_t level)
{
    struct oh_format_header *header = recording.header;
    for (uint32_t i = 0; i < header->section_count; i++) {
        struct oh_format_section *section = &header->sections[i];
        if (section->id == (uint32_t)id && section->level == level)
            return section;
    }
    return NULL;
}

bool oh_recording_ready(const struct oh_format_section *section)
{
    return oh_load_acquire(&section->state) == OH_SECTION_READY;
}

// A descriptor number says nothing in a host that closes and reopens what it likes: only the file
// behind it counts.
static bool file_is_ours(int fd)
{
    struct stat st;
    return fd >= 0 && oh_sys_fstat(fd, &st) == 0 && st.st_dev == recording.device &&
           st.st_ino == recording.inode;
}

static long reserve_range(const struct oh_format_section *section)
{
    // Growing a file past this limit would not fail but kill the host, by SIGXFSZ.
    if (section->offset + section->bytes > oh_sys_file_size_limit())
        return -EFBIG;
    if (file_is_ours(recording.fd))
        return oh_sys_reserve(recording.fd, section->offset, section->bytes);
    long fd = oh_sys_open(recording.path, O_RDWR | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    long rc = -ESTALE;
    if (file_is_ours((int)fd))
        rc = oh_sys_reserve((int)fd, section->offset, section->bytes);
    (void)oh_sys_close((int)fd);
    return rc;
}

// What will not get better by trying again.
static bool is_final(long error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG || error == -EOPNOTSUPP ||
           error == -ENOSYS || error == -ENOENT || error == -ESTALE || error == -ELOOP;
}

// A refusal that may pass (no descriptor free, privileges dropped for a while): said once, and
// tried again at every RETRY_CALLS-th call, since each try is some system calls inside of an
// allocation.
static void note_refusal(long error)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    if (oh_add_relaxed(&recording.refusals, 1) != 0)
        return;
    oh_text_init(&text, note, sizeof note);
    oh_text_add(&text, "the recording could not grow for a while: error ");
    oh_text_add_u64(&text, (uint64_t)-error);
    oh_text_add(&text, " of the system when its file was reserved or opened again");
    oh_recording_add_note(note);
}

static bool is_waiting(void)
{
    return oh_load_relaxed(&recording.refusals) != 0 &&
           oh_add_relaxed(&recording.refusals, 1) % RETRY_CALLS != 0;
}

int oh_recording_reserve(struct oh_format_section *section)
{
    uint64_t state = oh_load_acquire(&section->state);
    if (state == OH_SECTION_READY)
        return 0;
    if (state == OH_SECTION_FAILED)
        return -ENOSPC;
    if (oh_sandbox_is_up())
        return -EPERM;
    if (is_waiting())
        return -EAGAIN;
    bool grows = (recording.header->flags & OH_FLAG_NO_FALLOCATE) == 0;
    long rc = grows ? reserve_range(section) : -EOPNOTSUPP;
    if (rc == 0) {
        oh_store_release(&section->state, OH_SECTION_READY);
        oh_store_relaxed(&recording.refusals, 0);
        return 0;
    }
    if (!is_final(rc)) {
        note_refusal(rc);
        return (int)rc;
    }
    (void)oh_cas_acq_rel(&section->state, &state, OH_SECTION_FAILED);
    return oh_recording_ready(section) ? 0 : -ENOSPC;
}

void oh_recording_reserve_ahead(void)
{
    struct oh_format_header *header = recording.header;
    uint64_t left = AHEAD_BYTES;
    for (uint32_t i = 0; i < header->section_count; i++) {
        struct oh_format_section *section = &header->sections[i];
        if (oh_recording_ready(section))
            continue;
        if (section->bytes > left || oh_recording_reserve(section) < 0)
            break;
        left -= section->bytes;
    }
}

uint64_t oh_recording_take(struct oh_format_section *section, uint64_t bytes)
{
    if (!oh_recording_ready(section) || oh_load_relaxed(&section->cursor) >= section->bytes)
        return 0;
    uint64_t at = oh_add_relaxed(&section->cursor, bytes);
    return at <= section->bytes && bytes <= section->bytes - at ? section->offset + at : 0;
}

struct oh_format_text oh_recording_add_text(const char *bytes, size_t length)
{
    const struct oh_format_text none = {0, 0};
    for (uint32_t level = 0;; level++) {
        struct oh_format_section *section = oh_recording_section(OH_SECTION_STRINGS, level);
        if (section == NULL || oh_recording_reserve(section) < 0)
            break;
        uint64_t at = oh_recording_take(section, length + 1);
        if (at == 0)
            continue;
        char *to = oh_recording_at(at);
        memcpy(to, bytes, length);
        to[length] = '\0';
        return (struct oh_format_text){(uint32_t)at, (uint32_t)length};
    }
    oh_recording_count(OH_COUNTER_strings_full);
    return none;
}

void oh_recording_add_note(const char *note)
{
    struct oh_format_header *header = recording.header;
    for (int i = 0; i < OH_FORMAT_NOTES; i++) {
        if (header->notes[i].length == 0) {
            header->notes[i] = oh_recording_add_text(note, strlen(note));
            return;
        }
    }
}

void oh_recording_count(enum oh_format_counter counter)
{
    if (recording.header != NULL)
        (void)oh_add_relaxed(&recording.header->counters[counter], 1);
}

// libc's, not a raw system call: it reads the clock from the vDSO without entering the kernel.
static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

uint64_t oh_recording_now_ns(void)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
    return now > recording.header->start_monotonic_ns ? now - recording.header->start_monotonic_ns
                                                      : 0;
}

void oh_recording_set_state(enum oh_format_state state, enum oh_format_off_reason reason)
{
    if (recording.header == NULL)
        return;
    if (state == OH_STATE_OFF || state == OH_STATE_ENDED)
        recording.header->end_realtime_ns = clock_ns(CLOCK_REALTIME);
    oh_store32_relaxed(&recording.header->off_reason, (uint32_t)reason);
    oh_store32_release(&recording.header->state, (uint32_t)state);
}

// Makes an empty file under a name that no reader looks for; publish_file gives it its own. So a
// process that is killed at its start leaves no recording rather than half of one.
static long create_file(const char *dir, const char *exe, uint64_t pid, uint64_t start_ms)
{
    struct oh_text text;
    if (oh_place_path(recording.path, dir, exe, pid, start_ms) < 0)
        return -ENAMETOOLONG;
    oh_text_init(&text, recording.unpublished, sizeof recording.unpublished);
    oh_text_add(&text, recording.path);
    oh_text_add(&text, ".new");
    if (text.cut)
        return -ENAMETOOLONG;
    long fd = oh_sys_open(recording.unpublished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    (void)oh_sys_write_in_place((int)fd);
    long high = oh_sys_dup_above((int)fd, HIGH_FD);
    if (high < 0)
        return fd;
    (void)oh_sys_close((int)fd);
    return high;
}

// Renamed, not linked, so that the kernel shows the mapping under its own name. A file system that
// cannot refuse to replace gets a plain rename; the name's time stamp then has to be enough.
static long publish_file(const char *dir, const char *exe, uint64_t pid, uint64_t start_ms)
{
    long rc = -EEXIST;
    for (uint64_t attempt = 0; attempt < NAME_TRIES && rc == -EEXIST; attempt++) {
        (void)oh_place_path(recording.path, dir, exe, pid, start_ms + attempt);
        rc = oh_sys_rename_new(recording.unpublished, recording.path);
    }
    if (rc == 0 || rc == -EEXIST)
        return rc;
    return oh_sys_rename(recording.unpublished, recording.path);
}

static enum oh_format_off_reason reason_of(long error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG ? OH_OFF_no_space
                                                                   : OH_OFF_no_file;
}

// Reserves the header and level 0 of every table. A file system that cannot reserve is written full
// of zeros instead, once, here, where nobody has touched the file yet; its tables then do not grow.
static long reserve_first(int fd, struct oh_format_header *plan, uint64_t bytes)
{
    static const uint8_t zeros[4096];
    if (bytes > oh_sys_file_size_limit())
        return -EFBIG;
    long rc = oh_sys_reserve(fd, 0, bytes);
    if (rc != -EOPNOTSUPP && rc != -ENOSYS)
        return rc;
    plan->flags |= OH_FLAG_NO_FALLOCATE;
    rc = 0;
    for (uint64_t at = 0; at < bytes && rc == 0; at += sizeof zeros)
        rc = oh_sys_write_full(fd, zeros, sizeof zeros);
    return rc;
}

static uint64_t first_bytes(struct oh_format_header *plan)
{
    uint64_t end = OH_FORMAT_HEADER_BYTES;
    for (uint32_t i = 0; i < plan->section_count && plan->sections[i].level == 0; i++) {
        plan->sections[i].state = OH_SECTION_READY;
        end = plan->sections[i].offset + plan->sections[i].bytes;
    }
    return end;
}

static void describe(struct oh_format_header *header, const struct oh_config *config,
                     const struct oh_process_facts *process)
{
    header->endian_tag = OH_FORMAT_ENDIAN_TAG;
    header->major = OH_FORMAT_MAJOR;
    header->minor = OH_FORMAT_MINOR;
    header->header_bytes = OH_FORMAT_HEADER_BYTES;
    header->max_bytes = config->max_bytes;
    memcpy(header->writer, "offheap " OFFHEAP_VERSION, sizeof "offheap " OFFHEAP_VERSION);
    header->pid = (uint32_t)oh_sys_getpid();
    header->ppid = (uint32_t)oh_sys_getppid();
    header->start_ticks = process->start_ticks;
    header->start_realtime_ns = oh_sys_clock_ns(CLOCK_REALTIME);
    header->start_monotonic_ns = oh_sys_clock_ns(CLOCK_MONOTONIC_COARSE);
    header->run_token = config->run_token;
    header->mode = config->exact ? OH_MODE_EXACT : OH_MODE_SAMPLED;
    header->weight_shift = config->exact ? 0 : 16;
    header->sample_bytes = config->exact ? 1 : config->sample_bytes;
    header->means[0] = header->sample_bytes;
    header->budget.ppm = config->max_overhead_ppm;
    header->max_depth = config->max_depth;
    header->state = OH_STATE_STARTING;
}

static void add_texts(struct oh_format_header *header, const struct oh_config *config,
                      const struct oh_process_facts *process, const char *exe)
{
    header->exe = oh_recording_add_text(exe, strlen(exe));
    if (process->args_begin < process->args_end) {
        uint64_t length = process->args_end - process->args_begin;
        header->args = oh_recording_add_text((const char *)(uintptr_t)process->args_begin,
                                             length < ARGS_BYTES ? length : ARGS_BYTES);
    }
    for (unsigned i = 0; i < config->note_count; i++)
        oh_recording_add_note(config->notes[i]);
    if ((header->flags & OH_FLAG_NO_FALLOCATE) != 0)
        oh_recording_add_note("the recording's file system cannot reserve space (fallocate): the "
                              "tables do not grow; put OFFHEAP_DIR on another file system");
}

static int map_file(int fd, const struct oh_format_header *plan, uint64_t bytes)
{
    struct stat st;
    long rc = oh_sys_fstat(fd, &st);
    if (rc < 0)
        return (int)rc;
    long at = oh_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (oh_sys_failed(at))
        return (int)at;
    recording.base = (uint8_t *)at;
    recording.mapped_bytes = bytes;
    recording.fd = fd;
    recording.device = st.st_dev;
    recording.inode = st.st_ino;
    (void)oh_sys_madvise(recording.base, bytes, MADV_DONTDUMP);
    // Tables are touched here and there: without this the first touch reads ahead, which here means
    // to fill memory with zeros for pages that may never be used.
    (void)oh_sys_madvise(recording.base, bytes, MADV_RANDOM);
    memcpy(recording.base, plan, sizeof *plan);
    return 0;
}

// Fills the file and maps it; what is left undone on failure is the caller's to remove.
static long build_file(int fd, struct oh_format_header *plan, uint64_t bytes,
                       enum oh_format_off_reason *reason)
{
    long rc = reserve_first(fd, plan, first_bytes(plan));
    *reason = reason_of(rc);
    if (rc < 0)
        return rc;
    *reason = OH_OFF_no_memory;
    return map_file(fd, plan, bytes);
}

int oh_recording_create(const struct oh_config *config, const struct oh_process_facts *process,
                        enum oh_format_off_reason *reason)
{
    static struct oh_format_header plan;
    static char exe[OH_PLACE_PATH_BYTES];
    const char *dir = oh_place_dir(config);
    *reason = OH_OFF_no_dir;
    if (dir == NULL)
        return -EACCES;
    long length = oh_sys_readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[length > 0 ? length : 0] = '\0';
    describe(&plan, config, process);
    uint64_t bytes = oh_layout_plan(&plan, config->exact, config->max_bytes);
    uint64_t start_ms = plan.start_realtime_ns / ns_per_ms;
    long fd = create_file(dir, exe, plan.pid, start_ms);
    if (fd < 0) {
        *reason = reason_of(fd);
        return (int)fd;
    }
    long rc = build_file((int)fd, &plan, bytes, reason);
    if (rc == 0) {
        recording.header = (struct oh_format_header *)recording.base;
        add_texts(recording.header, config, process, exe);
        uint64_t magic;
        memcpy(&magic, OH_FORMAT_MAGIC, sizeof magic);
        oh_store_release((uint64_t *)recording.base, magic);
        rc = publish_file(dir, exe, plan.pid, start_ms);
        *reason = OH_OFF_no_file;
    }
    if (rc < 0) {
        if (recording.header != NULL)
            (void)oh_sys_munmap(recording.base, recording.mapped_bytes);
        recording.header = NULL;
        (void)oh_sys_unlink(recording.unpublished);
        (void)oh_sys_close((int)fd);
        return (int)rc;
    }
    *reason = OH_OFF_none;
    return 0;
}
