// SPDX-License-Identifier: Apache-2.0
//
// Words for a file that is not a usable recording.

#include "reader/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct oh_file_kind {
    const char *magic;
    size_t magic_len;
    const char *text;
};

static const struct oh_file_kind kinds[] = {
    {"\x1f\x8b", 2,
     "it is a gzip file; if it is a profile (.pb.gz), read it with `offheap report` or "
     "`go tool pprof`"},
    {"\x7f"
     "ELF",
     4, "it is a program or a library; start it with `offheap run -- PROGRAM`"},
    {"#!", 2, "it is a script; start it with `offheap run -- SCRIPT`"},
    {"go1.", 4, "it is a Go execution trace or dump"},
};

static const char *other_kind(const void *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (size >= kinds[i].magic_len && memcmp(bytes, kinds[i].magic, kinds[i].magic_len) == 0) {
            return kinds[i].text;
        }
    }
    return "recordings are the files named *.offheap; `offheap list` shows them";
}

int oh_explain_fault(const struct oh_view_fault *fault, const char *name, const void *bytes,
                     size_t size, struct oh_err *err)
{
    switch (fault->error) {
    case OH_VIEW_EMPTY:
        return oh_err_set(err, -EINVAL,
                          "%s is %s: its process was killed before it began to record, or the file "
                          "was cut\ntry: record again; `offheap list` shows other recordings",
                          name, size == 0 ? "empty" : "a recording that was never begun");
    case OH_VIEW_NOT_OURS:
        return oh_err_set(err, -EINVAL, "%s is not a recording: %s", name, other_kind(bytes, size));
    case OH_VIEW_VERSION:
        return oh_err_set(err, -EINVAL,
                          "%s has format version %" PRIu64 ", this offheap reads version %" PRIu64
                          "\ntry: the offheap that belongs to the liboffheap.so that wrote it",
                          name, fault->found, fault->bound);
    case OH_VIEW_ENDIAN:
        return oh_err_set(err, -EINVAL,
                          "%s was written on a machine of the other byte order\ntry: export it "
                          "there",
                          name);
    case OH_VIEW_TRUNCATED:
        return oh_err_set(err, -EINVAL,
                          "%s is cut short: section %s needs the file to have %" PRIu64
                          " bytes, it has %" PRIu64 "\ntry: copy the whole file again",
                          name, fault->section, fault->bound, fault->found);
    case OH_VIEW_OK:
    case OH_VIEW_INCONSISTENT: break;
    }
    return oh_err_set(err, -EINVAL,
                      "%s is damaged: section %s, offset %" PRIu64 ": found %" PRIu64
                      ", the bound is %" PRIu64 "\ntry: copy the file again, or another recording",
                      name, fault->section, fault->offset, fault->found, fault->bound);
}

int oh_explain_open(int code, const char *path, struct oh_err *err)
{
    if (code == -ENOENT || code == -ENOTDIR) {
        return oh_err_set(err, code,
                          "there is no file %s\ntry: `offheap list` shows the recordings and the "
                          "processes being recorded",
                          path);
    }
    if (code == -EACCES || code == -EPERM) {
        struct stat info;
        if (stat(path, &info) == 0) {
            return oh_err_set(err, code,
                              "%s belongs to uid %u, and only that user may read it (you are uid "
                              "%u)\ntry: the same command as that user, or with sudo",
                              path, (unsigned)info.st_uid, (unsigned)geteuid());
        }
        return oh_err_set(err, code,
                          "%s: a directory on its way may not be entered by uid %u\ntry: the same "
                          "command as its owner, or with sudo",
                          path, (unsigned)geteuid());
    }
    return oh_err_set(err, code, "cannot open %s: %s", path, strerror(-code));
}
