// SPDX-License-Identifier: Apache-2.0
//
// See outfile.h.

#include "profile/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"
#include "base/text.h"
#include "offheap/hash.h"

// What a claim leaves of the variable's name, and what it writes over.
static const char stable_name[] = "OFFHEAP_P";
static const char free_name[] = "ROFILE";

_Static_assert(sizeof free_name - 1 == OH_OUTFILE_ID_CHARS, "a claim keeps the name's length");

void oh_outfile_id(const struct oh_outfile_identity *identity, char id[OH_OUTFILE_ID_CHARS + 1])
{
    // No capitals: so no identity is the word that stands for "not claimed".
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    enum { LETTER_BITS = 5, LETTER_MASK = (1 << LETTER_BITS) - 1 };
    uint64_t hash = oh_hash_mix(identity->pid ^ oh_hash_mix(identity->start_ticks));
    for (int i = 0; i < OH_OUTFILE_ID_CHARS; i++, hash >>= LETTER_BITS)
        id[i] = letters[hash & LETTER_MASK];
    id[OH_OUTFILE_ID_CHARS] = '\0';
}

bool oh_outfile_claim(char *entry, const struct oh_outfile_identity *identity)
{
    char id[OH_OUTFILE_ID_CHARS + 1];
    char *claimed = entry + sizeof stable_name - 1;
    oh_outfile_id(identity, id);
    if (memcmp(claimed, free_name, OH_OUTFILE_ID_CHARS) == 0)
        memcpy(claimed, id, OH_OUTFILE_ID_CHARS);
    return memcmp(claimed, id, OH_OUTFILE_ID_CHARS) == 0;
}

// Where the pid goes: before .pb.gz, else before the last component's suffix, else at its end.
static size_t suffix_at(const char *pattern)
{
    static const char usual[] = ".pb.gz";
    size_t length = strlen(pattern);
    const char *slash = strrchr(pattern, '/');
    const char *base = slash != NULL ? slash + 1 : pattern;
    size_t usual_length = sizeof usual - 1;
    if (strlen(base) > usual_length && strcmp(pattern + length - usual_length, usual) == 0)
        return length - usual_length;
    const char *dot = strrchr(base, '.');
    return dot != NULL && dot != base ? (size_t)(dot - pattern) : length;
}

int oh_outfile_name(const char *pattern, const char *dir, uint64_t pid, bool with_pid,
                    char name[OH_OUTFILE_PATH_BYTES])
{
    struct oh_text text;
    size_t length = strlen(pattern);
    if (length == 0 || pattern[length - 1] == '/')
        return -EINVAL;
    bool has_pid = strstr(pattern, "%p") != NULL;
    size_t insert_at = with_pid && !has_pid ? suffix_at(pattern) : SIZE_MAX;
    oh_text_init(&text, name, OH_OUTFILE_PATH_BYTES);
    if (pattern[0] != '/') {
        oh_text_add(&text, dir);
        oh_text_add(&text, "/");
    }
    for (size_t i = 0; i <= length; i++) {
        if (i == insert_at) {
            oh_text_add(&text, ".");
            oh_text_add_u64(&text, pid);
        }
        if (pattern[i] == '%' && pattern[i + 1] == 'p') {
            oh_text_add_u64(&text, pid);
            i++;
        } else if (i < length) {
            oh_text_add_bytes(&text, &pattern[i], 1);
        }
    }
    return text.cut ? -ENAMETOOLONG : 0;
}

int oh_outfile_begin(struct oh_outfile *file, const char *name,
                     const struct oh_outfile_identity *identity)
{
    char id[OH_OUTFILE_ID_CHARS + 1];
    struct oh_text part;
    struct stat st;
    if (oh_sys_stat(name, &st) == 0 && !S_ISREG(st.st_mode))
        return -EINVAL;
    oh_outfile_id(identity, id);
    oh_text_init(&part, file->part, sizeof file->part);
    oh_text_add(&part, name);
    oh_text_add(&part, ".");
    oh_text_add_u64(&part, identity->pid);
    oh_text_add(&part, id);
    oh_text_add(&part, ".part");
    if (part.cut)
        return -ENAMETOOLONG;
    file->written = 0;
    file->limit = oh_sys_file_size_limit();
    // Only we have this identity, so what is there was left by us before an exec.
    (void)oh_sys_unlink(file->part);
    long fd = oh_sys_open(file->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    file->fd = fd < 0 ? -1 : (int)fd;
    return fd < 0 ? (int)fd : 0;
}

int oh_outfile_write(void *arg, const void *data, size_t size)
{
    struct oh_outfile *file = arg;
    if (size > file->limit - file->written)
        return -EFBIG;
    file->written += size;
    return (int)oh_sys_write_full(file->fd, data, size);
}

static bool is_newer(const struct stat *st, uint64_t started_ns)
{
    uint64_t time_ns =
        (uint64_t)st->st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st->st_mtim.tv_nsec;
    return time_ns > started_ns;
}

// Takes the place of the file that has the name, if that is of an earlier run. The two change
// names, so that what was taken away can be looked at, and given back, when another process was
// quicker.
static int replace(const char *part, const char *name, uint64_t started_ns)
{
    struct stat st;
    long rc = oh_sys_stat(name, &st);
    if (rc == 0 && (!S_ISREG(st.st_mode) || is_newer(&st, started_ns)))
        return -EEXIST;
    rc = oh_sys_exchange(part, name);
    if (rc < 0)
        return (int)oh_sys_rename(part, name); // The file system cannot exchange.
    if (oh_sys_stat(part, &st) == 0 && is_newer(&st, started_ns)) {
        (void)oh_sys_exchange(part, name);
        return -EEXIST;
    }
    return (int)oh_sys_unlink(part);
}

static int place(const char *part, const char *name, uint64_t started_ns)
{
    long rc = oh_sys_link(part, name);
    if (rc < 0) // The name is taken, or the file system has no links.
        return replace(part, name, started_ns);
    return (int)oh_sys_unlink(part);
}

int oh_outfile_commit(struct oh_outfile *file, const char *const *names, size_t count,
                      uint64_t started_ns, size_t *used)
{
    int rc = -EEXIST;
    (void)oh_sys_close(file->fd);
    file->fd = -1;
    for (size_t i = 0; i < count && rc == -EEXIST; i++) {
        rc = place(file->part, names[i], started_ns);
        if (rc == 0)
            *used = i;
    }
    if (rc != 0)
        (void)oh_sys_unlink(file->part);
    return rc;
}

void oh_outfile_abort(struct oh_outfile *file)
{
    if (file->fd >= 0)
        (void)oh_sys_close(file->fd);
    file->fd = -1;
    (void)oh_sys_unlink(file->part);
}
