// SPDX-License-Identifier: Apache-2.0
#include "cli/run_allocator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/run_library.h"
#include "profile/allocator.h"
#include "profile/image.h"

struct known {
    const char *name;
    const char *file;
    const char *package; // Debian's.
};

static const struct known known[] = {{"jemalloc", "libjemalloc.so.2", "libjemalloc2"}};

// Where the loader looks, in its order, as far as a program without a search path of its own goes.
static const char *const places[] = {
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
};

// 0 when the file is a library of this machine that has a malloc; -ENOEXEC, -ENOSYS: it has none.
static int check_library(const char *path)
{
    struct oh_image image;
    uint64_t address = 0;
    int result = oh_image_open(&image, path, NULL);
    if (result < 0) {
        return result;
    }
    if (image.elf.header.e_type != ET_DYN || image.elf.header.e_machine != EM_X86_64) {
        result = -ENOEXEC;
    } else if (!oh_elf_find_export(&image.elf, "malloc", &address)) {
        result = -ENOSYS;
    }
    oh_image_close(&image);
    return result;
}

static bool is_in(const char *dir, int dir_len, const char *file, char path[PATH_MAX])
{
    char candidate[PATH_MAX];
    const int len = snprintf(candidate, sizeof candidate, "%.*s/%s", dir_len, dir, file);
    return dir_len > 0 && len < (int)sizeof candidate && check_library(candidate) == 0 &&
           realpath(candidate, path) != NULL;
}

static bool search(const char *file, char path[PATH_MAX])
{
    const char *list = getenv("LD_LIBRARY_PATH");
    while (list != NULL && *list != '\0') {
        const int len = (int)strcspn(list, ":;");
        if (is_in(list, len, file, path)) {
            return true;
        }
        list += len + (list[len] != '\0');
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (is_in(places[i], (int)strlen(places[i]), file, path)) {
            return true;
        }
    }
    return false;
}

static int find_path(const char *name, char path[PATH_MAX], struct oh_err *err)
{
    const int result = realpath(name, path) == NULL ? -errno : check_library(path);
    if (result == -ENOSYS) {
        return oh_err_set(err, result,
                          "--allocator names %s, which is no allocator: it exports no malloc\ntry: "
                          "--allocator jemalloc",
                          name);
    }
    if (result < 0) {
        return oh_err_set(err, result,
                          "--allocator names %s, which is no library for this machine: %s\ntry: "
                          "--allocator jemalloc",
                          name, strerror(-result));
    }
    return oh_run_check_library_path(path, err);
}

int oh_run_find_allocator(const char *name, char path[PATH_MAX], struct oh_err *err)
{
    if (strchr(name, '/') != NULL) {
        return find_path(name, path, err);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0) {
            continue;
        }
        if (search(known[i].file, path)) {
            return oh_run_check_library_path(path, err);
        }
        return oh_err_set(err, -ENOENT,
                          "%s is not installed: there is no %s\ntry: apt-get install %s, or its "
                          "path with --allocator",
                          name, known[i].file, known[i].package);
    }
    return oh_err_set(
        err, -EINVAL,
        "--allocator knows no %s\ntry: --allocator jemalloc, or the path of a library, "
        "as ./%s",
        name, name);
}

void oh_run_tell_allocator(const char *program, const char *allocator)
{
    struct oh_image image;
    struct oh_allocator_symbols symbols;
    if (oh_image_open(&image, program, NULL) < 0) {
        return;
    }
    const int found = oh_allocator_find(&image.elf, &symbols);
    const bool is_hidden = found == -ENOENT && oh_allocator_is_hidden(&image.elf);
    const bool hints = found == -ENODATA && oh_allocator_has_messages(&image.elf);
    oh_image_close(&image);
    if (found == 0) {
        oh_cli_note(
            "%s has jemalloc in it (%smalloc): its functions are redirected when it starts%s",
            program, symbols.prefix,
            allocator != NULL ? "; --allocator changes only what its libraries allocate" : "");
    } else if (found == -ENOTSUP) {
        oh_cli_note(
            "%s has jemalloc in it, but link-time optimization has taken its functions apart: "
            "what it allocates by them is not recorded\ntry: a build of jemalloc without "
            "-flto",
            program);
    } else if (is_hidden) {
        oh_cli_note(
            "%s has jemalloc in it, and all its names are local, among too many to look "
            "through at every start: what it allocates by them is not recorded\ntry: a build "
            "without objcopy --localize-symbol, or whatever made them local",
            program);
    } else if (hints) {
        oh_cli_note("%s has jemalloc in it but no symbol table: where its functions are cannot be "
                    "known, and what it allocates by them may be missing\ntry: a build that is not "
                    "stripped",
                    program);
    }
}
