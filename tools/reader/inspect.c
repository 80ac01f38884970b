// SPDX-License-Identifier: Apache-2.0
//
// Whether a preloaded library can see a program's allocations.

#include "reader/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/path.h"
#include "profile/elf.h"

enum {
    OH_SCRIPT_DEPTH = 5,  // Interpreters of interpreters that the kernel follows.
    OH_SCRIPT_LINE = 256, // Bytes of the first line that it reads.
};

#if defined(__x86_64__)
static const uint16_t own_machine = EM_X86_64;
#elif defined(__aarch64__)
static const uint16_t own_machine = EM_AARCH64;
#else
#error "the machine is not known to oh_inspect"
#endif

// The interpreter of a "#!" line. false: the bytes do not begin a script.
static bool script_interpreter(const char *bytes, size_t len, char interpreter[PATH_MAX])
{
    if (len < 2 || bytes[0] != '#' || bytes[1] != '!') {
        return false;
    }
    char line[OH_SCRIPT_LINE];
    const size_t line_len = len - 2 < sizeof line - 1 ? len - 2 : sizeof line - 1;
    memcpy(line, bytes + 2, line_len);
    line[line_len] = '\0';
    line[strcspn(line, "\n")] = '\0';
    const char *const start = line + strspn(line, " \t");
    (void)snprintf(interpreter, PATH_MAX, "%.*s", (int)strcspn(start, " \t\r"), start);
    return true;
}

static bool has_effective_capabilities(const char *path)
{
    // The attribute's first word carries the effective flag in its lowest bit. Without it, a
    // program gains nothing at its start, but its permitted set still makes it secure.
    unsigned char value[64];
    return getxattr(path, "security.capability", value, sizeof value) > 0;
}

// What makes the kernel set AT_SECURE: the loader then ignores LD_PRELOAD.
static bool gains_privileges(const char *path, const struct stat *info, char detail[PATH_MAX])
{
    struct statvfs fs;
    if ((statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0) ||
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        return false;
    }
    if ((info->st_mode & S_ISUID) != 0 && info->st_uid != getuid()) {
        (void)snprintf(detail, PATH_MAX, "setuid to uid %u", (unsigned)info->st_uid);
        return true;
    }
    if ((info->st_mode & S_ISGID) != 0 && (info->st_mode & S_IXGRP) != 0 &&
        info->st_gid != getgid()) {
        (void)snprintf(detail, PATH_MAX, "setgid to gid %u", (unsigned)info->st_gid);
        return true;
    }
    if (getuid() != 0 && has_effective_capabilities(path)) {
        (void)snprintf(detail, PATH_MAX, "given file capabilities");
        return true;
    }
    return false;
}

static enum oh_inspect_verdict judge_dynamic(const struct oh_elf *elf, const char *loader,
                                             struct oh_inspect *found)
{
    (void)snprintf(found->detail, sizeof found->detail, "%s", loader);
    if (strstr(oh_path_base(loader), "ld-musl") != NULL) {
        return OH_INSPECT_MUSL;
    }
    if (!oh_elf_has_needed(elf)) {
        return OH_INSPECT_NO_LIBC;
    }
    return OH_INSPECT_OK;
}

static enum oh_inspect_verdict judge_elf(const void *bytes, size_t len, struct oh_inspect *found)
{
    struct oh_elf_ident ident;
    struct oh_elf elf;
    if (oh_elf_identify(bytes, len, &ident) < 0) {
        return OH_INSPECT_NOT_PROGRAM;
    }
    if (ident.machine != own_machine || ident.class != ELFCLASS64) {
        (void)snprintf(found->detail, sizeof found->detail, "ELF machine %u",
                       (unsigned)ident.machine);
        return ident.class == ELFCLASS32 ? OH_INSPECT_OTHER_CLASS : OH_INSPECT_OTHER_MACHINE;
    }
    if (oh_elf_open(&elf, bytes, len) < 0) {
        return OH_INSPECT_NOT_PROGRAM;
    }
    const char *const loader = oh_elf_interpreter(&elf);
    if (loader != NULL) {
        return judge_dynamic(&elf, loader, found);
    }
    Elf64_Shdr section;
    const bool is_go = oh_elf_go_build_id(&elf).data != NULL ||
                       oh_elf_find_section(&elf, ".go.buildinfo", &section);
    return is_go ? OH_INSPECT_STATIC_GO : OH_INSPECT_STATIC;
}

// Judges found->program; for a script, puts the interpreter's path into next.
static enum oh_inspect_verdict judge_file(struct oh_inspect *found, char next[PATH_MAX])
{
    const int fd = open(found->program, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0) {
        (void)snprintf(found->detail, sizeof found->detail, "%s",
                       fd < 0 ? strerror(errno) : "it is empty");
        if (fd >= 0) {
            (void)close(fd);
        }
        // A program may be executable and unreadable: then only the execution tells more.
        return fd < 0 ? OH_INSPECT_OK : OH_INSPECT_NOT_PROGRAM;
    }
    const size_t len = (size_t)info.st_size;
    void *const bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (bytes == MAP_FAILED) {
        return OH_INSPECT_OK;
    }
    enum oh_inspect_verdict verdict = OH_INSPECT_OK;
    if (!script_interpreter(bytes, len, next)) {
        verdict = judge_elf(bytes, len, found);
    }
    (void)munmap(bytes, len);
    return verdict;
}

static enum oh_inspect_verdict judge_access(struct oh_inspect *found, struct stat *info)
{
    if (stat(found->program, info) != 0) {
        (void)snprintf(found->detail, sizeof found->detail, "%s", strerror(errno));
        return errno == EACCES ? OH_INSPECT_NOT_EXECUTABLE : OH_INSPECT_MISSING;
    }
    if (S_ISDIR(info->st_mode)) {
        return OH_INSPECT_DIRECTORY;
    }
    if (!S_ISREG(info->st_mode)) {
        (void)snprintf(found->detail, sizeof found->detail, "it is not a regular file");
        return OH_INSPECT_NOT_PROGRAM;
    }
    if (faccessat(AT_FDCWD, found->program, X_OK, AT_EACCESS) != 0) {
        (void)snprintf(found->detail, sizeof found->detail, "%s", strerror(errno));
        return OH_INSPECT_NOT_EXECUTABLE;
    }
    return OH_INSPECT_OK;
}

void oh_inspect_file(const char *path, bool as_new_process, struct oh_inspect *found)
{
    *found = (struct oh_inspect){.verdict = OH_INSPECT_OK};
    (void)snprintf(found->file, sizeof found->file, "%s", path);
    (void)snprintf(found->program, sizeof found->program, "%s", path);
    for (int depth = 0; depth < OH_SCRIPT_DEPTH; depth++) {
        char next[PATH_MAX] = "";
        struct stat info;
        found->verdict = judge_access(found, &info);
        if (found->verdict == OH_INSPECT_OK) {
            found->verdict = judge_file(found, next);
        }
        if (found->verdict == OH_INSPECT_OK && as_new_process && next[0] == '\0' &&
            gains_privileges(found->program, &info, found->detail)) {
            found->verdict = OH_INSPECT_PRIVILEGED;
        }
        if (found->is_script &&
            (found->verdict == OH_INSPECT_MISSING || found->verdict == OH_INSPECT_NOT_EXECUTABLE)) {
            found->verdict = OH_INSPECT_NO_INTERPRETER;
        }
        if (next[0] == '\0' || found->verdict != OH_INSPECT_OK) {
            return;
        }
        found->is_script = true;
        (void)snprintf(found->program, sizeof found->program, "%s", next);
    }
    found->verdict = OH_INSPECT_NOT_PROGRAM;
    (void)snprintf(found->detail, sizeof found->detail, "too many interpreters of interpreters");
}

const char *oh_inspect_word(enum oh_inspect_verdict verdict)
{
    static const char *const words[OH_INSPECT_VERDICT_COUNT] = {
        [OH_INSPECT_OK] = "dynamic",
        [OH_INSPECT_MISSING] = "missing",
        [OH_INSPECT_NOT_EXECUTABLE] = "not executable",
        [OH_INSPECT_DIRECTORY] = "directory",
        [OH_INSPECT_NOT_PROGRAM] = "not a program",
        [OH_INSPECT_NO_INTERPRETER] = "no interpreter",
        [OH_INSPECT_STATIC] = "static",
        [OH_INSPECT_STATIC_GO] = "static (Go without cgo)",
        [OH_INSPECT_NO_LIBC] = "no C library (Go without cgo)",
        [OH_INSPECT_MUSL] = "musl",
        [OH_INSPECT_OTHER_CLASS] = "32-bit",
        [OH_INSPECT_OTHER_MACHINE] = "another machine",
        [OH_INSPECT_PRIVILEGED] = "AT_SECURE",
    };
    return verdict < OH_INSPECT_VERDICT_COUNT ? words[verdict] : "unknown";
}

// What it is, and what to try. %s in `what` is the program, in `why` the detail.
struct oh_explanation {
    const char *what;
    const char *why;
};

static const struct oh_explanation explanations[OH_INSPECT_VERDICT_COUNT] = {
    [OH_INSPECT_MISSING] = {"there is no %s", "check the path"},
    [OH_INSPECT_NOT_EXECUTABLE] = {"%s may not be executed",
                                   "check its permissions (chmod +x) and those of its directories"},
    [OH_INSPECT_DIRECTORY] = {"%s is a directory, not a program", "name the program in it"},
    [OH_INSPECT_NOT_PROGRAM] = {"%s is neither an ELF program nor a script with a #! line",
                                "run it through its interpreter: offheap run -- sh FILE"},
    [OH_INSPECT_NO_INTERPRETER] = {"the interpreter %s cannot be executed",
                                   "correct the script's #! line"},
    [OH_INSPECT_STATIC] = {"%s is statically linked: it has no dynamic loader, so nothing can be "
                           "interposed, its malloc is part of the program itself",
                           "link it dynamically (without -static)"},
    [OH_INSPECT_STATIC_GO] = {"%s is a static Go program: it was built without cgo "
                              "(CGO_ENABLED=0) or with -static, so it calls no malloc that could "
                              "be interposed",
                              "its memory is in Go's own heap profile; if it uses C, build it with "
                              "CGO_ENABLED=1 and dynamic linking"},
    [OH_INSPECT_NO_LIBC] = {"%s was built without cgo (CGO_ENABLED=0): it loads no C library, so "
                            "nothing can be interposed",
                            "its memory is in Go's own heap profile; if it uses C, build it with "
                            "CGO_ENABLED=1"},
    [OH_INSPECT_MUSL] = {"%s runs on the musl C library, and liboffheap.so is built for glibc: "
                         "musl tells it neither modules nor functions, so no stack could be named",
                         "build the program for glibc (on Debian: without musl-gcc, in a "
                         "golang:bookworm image instead of golang:alpine)"},
    [OH_INSPECT_OTHER_CLASS] = {"%s is a 32-bit program; liboffheap.so is 64-bit and cannot be "
                                "loaded into it",
                                "build the program as 64-bit"},
    [OH_INSPECT_OTHER_MACHINE] = {"%s is built for another machine than this offheap",
                                  "use a build for this machine"},
    [OH_INSPECT_PRIVILEGED] = {"%s gains privileges when it starts, so the loader ignores "
                               "LD_PRELOAD (AT_SECURE)",
                               "run offheap as the user that the program switches to, or use a "
                               "copy of the program without the set-id bit or the capabilities"},
};

int oh_inspect_explain(const struct oh_inspect *found, struct oh_err *err)
{
    if (found->verdict == OH_INSPECT_OK || found->verdict >= OH_INSPECT_VERDICT_COUNT) {
        return oh_err_set(err, 0, "%s", "");
    }
    const struct oh_explanation *const e = &explanations[found->verdict];
    const char *const gap = strstr(e->what, "%s");
    char script[PATH_MAX + 32] = "";
    if (found->is_script) {
        (void)snprintf(script, sizeof script, " (it interprets the script %.200s)", found->file);
    }
    return oh_err_set(err, -ENOEXEC, "%.*s%.300s%s%s%s%s%s\ntry: %s", (int)(gap - e->what), e->what,
                      found->program, script, gap + 2, found->detail[0] != '\0' ? " (" : "",
                      found->detail, found->detail[0] != '\0' ? ")" : "", e->why);
}

bool oh_inspect_search_path(const char *name, char path[PATH_MAX])
{
    if (strchr(name, '/') != NULL) {
        (void)snprintf(path, PATH_MAX, "%s", name);
        return true;
    }
    const char *list = getenv("PATH");
    if (list == NULL) {
        list = "/bin:/usr/bin"; // As execvp.
    }
    bool found = false;
    while (name[0] != '\0' && list != NULL) {
        const char *const colon = strchrnul(list, ':');
        const int len = (int)(colon - list);
        char candidate[PATH_MAX];
        (void)snprintf(candidate, sizeof candidate, "%.*s/%s", len == 0 ? 1 : len,
                       len == 0 ? "." : list, name);
        struct stat info;
        if (stat(candidate, &info) == 0 && S_ISREG(info.st_mode)) {
            const bool executable = access(candidate, X_OK) == 0;
            if (executable || !found) {
                (void)snprintf(path, PATH_MAX, "%s", candidate);
                found = true;
            }
            if (executable) {
                break;
            }
        }
        list = *colon == ':' ? colon + 1 : NULL;
    }
    return found;
}
