// SPDX-License-Identifier: Apache-2.0
//
// See label.h. Stacks are leaf first: "leafward" is towards index 0, "rootward" the other way.

#include "profile/label.h"

#include <stdbool.h>
#include <string.h>

#include "offheap/format.h"
#include "profile/ranges.h"
#include "profile/symbols.h"

enum { NOT_FOUND = -1 };

// What a function's name tells. ROLE_GO_MAIN and ROLE_RUNTIME go by more than the name.
enum role {
    ROLE_INIT_RUNNER = 1 << 0,    // Go's own way of running package initialisers.
    ROLE_THREAD_STARTER = 1 << 1, // Below it the runtime starts a thread for itself.
    ROLE_OPEN = 1 << 2,           // dlopen,
    ROLE_CLOSE = 1 << 3,          // and dlclose, under the names that they have inside.
    ROLE_EXIT = 1 << 4,           // Runs destructors.
    ROLE_THREAD_ROOT = 1 << 5,    // Where a thread begins.
    ROLE_START = 1 << 6,          // Where the first thread begins,
    ROLE_BEFORE_MAIN = 1 << 7,    // and what is only there before main, or around it.
    ROLE_GO_START = 1 << 8,
    ROLE_GO_END = 1 << 9,
    ROLE_C_MAIN = 1 << 10,
    ROLE_GO_MAIN = 1 << 11,
    ROLE_RUNTIME = 1 << 12, // Of Go's runtime.
};

struct named_role {
    const char *name;
    uint32_t roles;
    bool is_go;
};

static const struct named_role named_roles[] = {
    {"runtime.doInit", ROLE_INIT_RUNNER, true},
    {"runtime.doInit1", ROLE_INIT_RUNNER, true},
    {"runtime.newm", ROLE_THREAD_STARTER, true},
    {"runtime.newm1", ROLE_THREAD_STARTER, true},
    {"runtime.newosproc", ROLE_THREAD_STARTER, true},
    {"runtime.rt0_go", ROLE_GO_START, true},
    {"runtime.main", ROLE_GO_START, true},
    {"runtime.runExitHooks", ROLE_GO_END, true},
    {"runtime.exit", ROLE_GO_END, true},
    {"main.main", ROLE_GO_MAIN, true},
    {"x_cgo_thread_start", ROLE_THREAD_STARTER, false},
    {"_cgo_sys_thread_start", ROLE_THREAD_STARTER, false},
    {"main", ROLE_C_MAIN, false},
    {"dlopen", ROLE_OPEN, false},
    {"__dlopen", ROLE_OPEN, false},
    {"dlmopen", ROLE_OPEN, false},
    {"__dlmopen", ROLE_OPEN, false},
    {"__libc_dlopen_mode", ROLE_OPEN, false},
    {"_dl_open", ROLE_OPEN, false},
    {"dl_open_worker", ROLE_OPEN, false},
    {"dlclose", ROLE_CLOSE, false},
    {"__dlclose", ROLE_CLOSE, false},
    {"__libc_dlclose", ROLE_CLOSE, false},
    {"_dl_close", ROLE_CLOSE, false},
    {"_dl_close_worker", ROLE_CLOSE, false},
    {"exit", ROLE_EXIT, false},
    {"__run_exit_handlers", ROLE_EXIT, false},
    {"__cxa_finalize", ROLE_EXIT, false},
    {"__libc_csu_fini", ROLE_EXIT, false},
    {"_dl_fini", ROLE_EXIT, false},
    {"clone", ROLE_THREAD_ROOT, false},
    {"__clone", ROLE_THREAD_ROOT, false},
    {"clone3", ROLE_THREAD_ROOT, false},
    {"__clone3", ROLE_THREAD_ROOT, false},
    {"start_thread", ROLE_THREAD_ROOT, false},
    {"thread_start", ROLE_THREAD_ROOT, false},
    {"_start", ROLE_START | ROLE_BEFORE_MAIN, false},
    {"__libc_csu_init", ROLE_START | ROLE_BEFORE_MAIN, false},
    {"_dl_start_user", ROLE_START, false},
    {"__libc_start_main", ROLE_START, false},
    {"__libc_start_main_impl", ROLE_START, false},
    {"__libc_start_call_main", ROLE_START, false},
};

static bool is_text(const char *name, size_t length, const char *text)
{
    return strlen(text) == length && memcmp(name, text, length) == 0;
}

static bool starts_with(const char *name, size_t length, const char *prefix)
{
    size_t prefix_length = strlen(prefix);
    return length >= prefix_length && memcmp(name, prefix, prefix_length) == 0;
}

static bool is_of_runtime(const char *name, size_t length)
{
    static const char *const prefixes[] = {"runtime.",          "runtime/cgo.",
                                           "runtime/internal/", "internal/runtime/",
                                           "internal/cpu.",     "internal/abi."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (starts_with(name, length, prefixes[i]))
            return true;
    }
    return false;
}

uint32_t oh_label_roles(const char *name, size_t length, uint32_t flags)
{
    bool is_go = (flags & OH_FRAME_GO) != 0;
    uint32_t roles = 0;
    for (size_t i = 0; i < sizeof named_roles / sizeof named_roles[0]; i++) {
        if (named_roles[i].is_go == is_go && is_text(name, length, named_roles[i].name))
            roles |= named_roles[i].roles;
    }
    // A function literal of main.main: there is none before main.main began.
    if (is_go && starts_with(name, length, "main.main."))
        roles |= ROLE_GO_MAIN;
    if (is_go && is_of_runtime(name, length))
        roles |= ROLE_RUNTIME;
    return roles;
}

static bool has_flag(const struct oh_label_frame *frame, uint32_t flag)
{
    return (frame->flags & flag) != 0;
}

// The first frame from `from` on, rootward, that has one of the roles.
static int find_role(const struct oh_label_stack *stack, size_t from, uint32_t roles)
{
    for (size_t i = from; i < stack->count; i++) {
        if ((stack->frames[i].roles & roles) != 0)
            return (int)i;
    }
    return NOT_FOUND;
}

static bool has_role(const struct oh_label_stack *stack, uint32_t roles)
{
    return find_role(stack, 0, roles) != NOT_FOUND;
}

static int find_flag(const struct oh_label_stack *stack, uint32_t flag)
{
    for (size_t i = 0; i < stack->count; i++) {
        if (has_flag(&stack->frames[i], flag))
            return (int)i;
    }
    return NOT_FOUND;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

// The linker writes %xx for the dots of a path's last element and for what is not plain ASCII.
static size_t unescape(const char *from, size_t length, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int high = i + 2 < length && from[i] == '%' ? hex_digit(from[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(from[i + 2]) : -1;
        out[used++] = low >= 0 ? (char)(high * 16 + low) : from[i];
        i += low >= 0 ? 2 : 0;
    }
    return used;
}

// Length of the escaped import path in front of a function's name, 0 when there is none.
static size_t package_length(const char *name, size_t length)
{
    size_t last = 0; // Begin of the path's last element.
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '[' || name[i] == '(' || name[i] == '{' || name[i] == ' ')
            break; // From here on type arguments and receivers, which hold paths of their own.
        if (name[i] == '/')
            last = i + 1;
    }
    const char *dot = memchr(name + last, '.', length - last);
    size_t path = dot != NULL ? (size_t)(dot - name) : 0;
    bool made_by_compiler =
        (path >= 4 && memcmp(name, "type", 4) == 0 && (path == 4 || name[4] == ':')) ||
        (path >= 2 && memcmp(name, "go", 2) == 0 && (path == 2 || name[2] == ':'));
    return made_by_compiler ? 0 : path;
}

size_t oh_label_go_package(const char *name, size_t length, char *package, size_t size)
{
    size_t path = package_length(name, length);
    if (path == 0 || path >= size)
        return 0;
    size_t used = unescape(name, path, package);
    package[used] = '\0';
    return used;
}

// The package initialiser that runs: the frame that the leafmost doInit called.
static int find_initialiser(const struct oh_label_stack *stack)
{
    int runner = find_role(stack, 0, ROLE_INIT_RUNNER);
    return runner > 0 ? runner - 1 : NOT_FOUND;
}

// The loader's leafmost frame when it called code that is not its own, else NOT_FOUND.
static int find_loader_call(const struct oh_label_stack *stack)
{
    int loader = find_flag(stack, OH_FRAME_LOADER);
    return loader > 0 ? loader : NOT_FOUND;
}

// Whether a constructor runs in a dlopen: the nearest way into the loader is an opening one.
static bool runs_in_open(const struct oh_label_stack *stack)
{
    int loader = find_loader_call(stack);
    if (loader == NOT_FOUND)
        return false;
    int opened = find_role(stack, (size_t)loader, ROLE_OPEN);
    int closed = find_role(stack, (size_t)loader, ROLE_CLOSE);
    return opened != NOT_FOUND && (closed == NOT_FOUND || opened < closed);
}

// Whether a constructor runs as the loader or the C library brings the program up.
static bool runs_at_start(const struct oh_label_stack *stack)
{
    if (stack->count == 0 || has_role(stack, ROLE_EXIT))
        return false;
    bool begins_in_loader = has_flag(&stack->frames[stack->count - 1], OH_FRAME_LOADER);
    return (begins_in_loader && find_loader_call(stack) != NOT_FOUND) ||
           find_role(stack, 1, ROLE_BEFORE_MAIN) != NOT_FOUND;
}

// Go's runtime brings the program up: on the first thread, or in runtime.main around main.main.
static bool runs_at_go_start(const struct oh_label_stack *stack)
{
    return has_role(stack, ROLE_GO_START) && !has_role(stack, ROLE_GO_END);
}

static const char *phase_by_stack(const struct oh_label_stack *stack)
{
    if (find_initialiser(stack) != NOT_FOUND || runs_in_open(stack))
        return "init";
    if (has_role(stack, ROLE_GO_MAIN | ROLE_C_MAIN))
        return "main";
    return runs_at_go_start(stack) || runs_at_start(stack) ? "init" : "unknown";
}

static const char *phase_of(const struct oh_label_stack *stack)
{
    switch (stack->phase) {
    case OH_PHASE_BEFORE_MAIN: return "init";
    case OH_PHASE_MAIN:
        return find_initialiser(stack) != NOT_FOUND || runs_in_open(stack) ? "init" : "main";
    default: return phase_by_stack(stack);
    }
}

static void set_package(struct oh_labels *labels, const char *package)
{
    labels->package_len = strlen(package);
    memcpy(labels->package, package, labels->package_len + 1);
}

static bool set_go_package(struct oh_labels *labels, const struct oh_label_frame *frame)
{
    labels->package_len =
        oh_label_go_package(frame->name, frame->length, labels->package, sizeof labels->package);
    return labels->package_len != 0;
}

// A goroutine is known by where it began: its outermost function outside of the runtime.
static bool set_package_of_goroutine(const struct oh_label_stack *stack, struct oh_labels *labels)
{
    for (size_t i = stack->count; i-- > 0;) {
        const struct oh_label_frame *frame = &stack->frames[i];
        if (has_flag(frame, OH_FRAME_GO) && (frame->roles & ROLE_RUNTIME) == 0 &&
            set_go_package(labels, frame))
            return true;
    }
    return false;
}

// A thread begins in clone or what the C library calls from there; stripped, it has the library's
// name only.
static bool begins_as_thread(const struct oh_label_stack *stack)
{
    const struct oh_label_frame *root = &stack->frames[stack->count - 1];
    bool in_libc =
        has_flag(root, OH_FRAME_FALLBACK) && (starts_with(root->name, root->length, "[libc") ||
                                              starts_with(root->name, root->length, "[libpthread"));
    return stack->end == OH_STACK_END_CLEAN && (in_libc || (root->roles & ROLE_THREAD_ROOT) != 0);
}

static void set_package_of_init(const struct oh_label_stack *stack, struct oh_labels *labels)
{
    int initialiser = find_initialiser(stack);
    if (initialiser != NOT_FOUND && set_go_package(labels, &stack->frames[initialiser]))
        return;
    if (stack->phase != OH_PHASE_BEFORE_MAIN && runs_in_open(stack)) {
        set_package(labels, "[constructor]");
        return;
    }
    if (set_package_of_goroutine(stack, labels))
        return;
    if (find_flag(stack, OH_FRAME_GO) != NOT_FOUND)
        set_package(labels, "runtime");
    else if (find_flag(stack, OH_FRAME_LOADER) != NOT_FOUND || has_role(stack, ROLE_START))
        set_package(labels, "[constructor]");
    else if (stack->count != 0 && begins_as_thread(stack))
        set_package(labels, "[thread]");
    else
        set_package(labels, "[unknown]");
}

static const char *kind_of(const struct oh_label_stack *stack)
{
    const char *name = oh_kind_name(stack->kind);
    if (stack->kind == OH_KIND_MALLOC && has_role(stack, ROLE_THREAD_STARTER))
        return "thread";
    return name != NULL ? name : "unknown";
}

void oh_label_stack(const struct oh_label_stack *stack, struct oh_labels *labels)
{
    labels->kind = kind_of(stack);
    labels->phase = phase_of(stack);
    labels->package_len = 0;
    labels->package[0] = '\0';
    if (strcmp(labels->phase, "init") == 0)
        set_package_of_init(stack, labels);
}
