// SPDX-License-Identifier: Apache-2.0
//
// Whether a preloaded library can see a program's allocations, told from its file before it is
// started (or from /proc/PID/exe). Follows the interpreter lines of scripts, as the kernel does:
// what runs, and what is recorded, is then the interpreter.
//
// Says what it found; the words for it are oh_inspect_explain's, what to do is the caller's.

#ifndef OH_READER_INSPECT_H
#define OH_READER_INSPECT_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

enum oh_inspect_verdict {
    OH_INSPECT_OK,
    OH_INSPECT_MISSING,        // No such file, or a path that cannot be followed.
    OH_INSPECT_NOT_EXECUTABLE, // No permission to execute it (or to follow its path).
    OH_INSPECT_DIRECTORY,
    OH_INSPECT_NOT_PROGRAM,    // Neither an ELF file nor a script.
    OH_INSPECT_NO_INTERPRETER, // Its script interpreter or its loader is missing.
    OH_INSPECT_STATIC,         // No dynamic loader: nothing can be interposed.
    OH_INSPECT_STATIC_GO,      // The same, built by Go without cgo.
    OH_INSPECT_NO_LIBC,        // A loader, but no library: Go's CGO_ENABLED=0 PIE.
    OH_INSPECT_MUSL,           // Runs on musl; the library is built for glibc.
    OH_INSPECT_OTHER_CLASS,    // 32-bit.
    OH_INSPECT_OTHER_MACHINE,
    OH_INSPECT_PRIVILEGED, // Setuid, setgid or with file capabilities that would take effect.
    OH_INSPECT_VERDICT_COUNT
};

struct oh_inspect {
    enum oh_inspect_verdict verdict;
    bool is_script;         // The file named is a script: program is its interpreter.
    char file[PATH_MAX];    // As named.
    char program[PATH_MAX]; // What the verdict is about: file, or the interpreter.
    char detail[PATH_MAX];  // The loader's path, the reason; "" when there is none.
};

// path is opened as it is (no search in PATH). as_new_process: also looks at what the execution
// would do to this process's privileges. Always gives a verdict.
void oh_inspect_file(const char *path, bool as_new_process, struct oh_inspect *found);

// One or two sentences: what it is, why nothing can be recorded, what to try. Returns -ENOEXEC, or
// 0 with an empty text for OH_INSPECT_OK.
int oh_inspect_explain(const struct oh_inspect *found, struct oh_err *err);

// A few words for a table: "static", "musl", ...
const char *oh_inspect_word(enum oh_inspect_verdict verdict);

// Finds a command as execvp does: a name with a slash is itself, else the first executable of that
// name in PATH (or the first that is not, so that the reason can be told). false: there is none.
bool oh_inspect_search_path(const char *name, char path[PATH_MAX]);

#endif
