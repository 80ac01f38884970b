// SPDX-License-Identifier: Apache-2.0
#include "allocator/allocators.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "allocator/allocator_stats.h"
#include "allocator/dynamic.h"
#include "allocator/executable.h"
#include "allocator/foreign.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "base/thread.h"
#include "capture/readable.h"
#include "capture/unwind_c.h"
#include "patch/redirect.h"
#include "profile/allocator.h"
#include "recording/real.h"
#include "recording/recording.h"
#include "track/owner.h"
#include "track/track.h"

enum { KNOWN_MAX = 32, SMALL_BYTES = 16, NAME_BYTES = 64 };

// The one that is looked at: first by the thread that brings the library up, later under the loader's
// lock.
static struct oh_foreign work;

// What was looked at before. A library that comes back to its old place has its old code: then the
// word is another.
static struct {
    const struct link_map *map;
    const uint64_t *code;
    uint64_t word;
} known[KNOWN_MAX];
static size_t known_count;

static uint64_t word_at(const uint64_t *code)
{
    uint64_t word;
    memcpy(&word, code, sizeof word);
    return word;
}

static bool is_known(const struct link_map *map, uint64_t code)
{
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].map == map && (uint64_t)(uintptr_t)known[i].code == code &&
            known[i].word == word_at(known[i].code))
            return true;
    }
    return false;
}

// Where it will be remembered: in the place of what lay there before. KNOWN_MAX: there are too many.
static size_t place_of(const struct link_map *map, uint64_t code)
{
    size_t at = 0;
    while (at < known_count &&
           (known[at].map != map || (uint64_t)(uintptr_t)known[at].code != code))
        at++;
    return at;
}

static void remember(const struct link_map *map, uint64_t code)
{
    size_t at = place_of(map, code);
    if (at == known_count)
        known_count++;
    known[at].map = map;
    known[at].code = (const uint64_t *)(uintptr_t)code;
    known[at].word = word_at(known[at].code);
}

static void begin(struct oh_foreign *c, const struct link_map *map)
{
    memset(c, 0, sizeof *c);
    c->map = map;
    c->has_dynamic = oh_dynamic_open(&c->dynamic, map);
}

static bool find_export(const struct oh_foreign *c, const char *prefix, const char *name,
                        struct oh_elf_span *out)
{
    char whole[NAME_BYTES];
    struct oh_text text;
    oh_text_init(&text, whole, sizeof whole);
    oh_text_add(&text, prefix);
    oh_text_add(&text, name);
    return oh_dynamic_find(&c->dynamic, whole, out);
}

// From what the module exports. False: it has no allocator.
static bool take_exports(struct oh_foreign *c)
{
    static const char *const prefixes[] = {"", "je_", "_rjem_"};
    struct oh_elf_span span;
    size_t p = 0, count = c->has_dynamic ? sizeof prefixes / sizeof prefixes[0] : 0;
    while (p < count && !find_export(c, prefixes[p], p == 0 ? "malloc" : "mallocx", &span))
        p++;
    if (p >= count)
        return false;
    c->is_jemalloc = find_export(c, prefixes[p], "mallocx", &span);
    memcpy(c->symbols.prefix, prefixes[p], strlen(prefixes[p]) + 1);
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        const struct oh_allocator_facts *facts = oh_allocator_facts((enum oh_allocator_function)i);
        (void)find_export(c, facts->has_prefix ? prefixes[p] : "", facts->name,
                          &c->symbols.function[i]);
    }
    return c->symbols.function[OH_ALLOCATOR_malloc].begin != 0;
}

// Names that only allocators have whose operators new do not come back to malloc.
static bool is_well_known(const struct oh_dynamic *dynamic)
{
    static const char *const marks[] = {"mallocx", "tc_malloc", "mi_malloc"};
    struct oh_elf_span span;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (oh_dynamic_find(dynamic, marks[i], &span))
            return true;
    }
    return false;
}

// The malloc of the loader's order, when that is not ours.
struct front {
    uint64_t code; // 0: it is ours.
    bool calls_us; // Known to be only a layer, which ends in our hooks.
};

// Whether it is only a layer.
static bool comes_back(const struct front *front)
{
    if (front->calls_us)
        return true;
    void *(*outer_malloc)(size_t) = NULL;
    void (*outer_free)(void *) = NULL;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    memcpy(&outer_malloc, &address, sizeof address);
    address = dlsym(RTLD_DEFAULT, "free");
    memcpy(&outer_free, &address, sizeof address);
    oh_thread_self.nested = 0;
    outer_free(outer_malloc(SMALL_BYTES));
    bool nested = oh_thread_self.nested != 0;
    oh_thread_self.nested = 0;
    return nested;
}

// Of a library, all code, by the headers at its begin: the loader does not yet know one that is new.
static struct oh_elf_span code_of(const struct link_map *map)
{
    struct oh_elf_span code = {0, 0};
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)map->l_addr;
    if (!oh_readable_range(map->l_addr, sizeof *header) ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        !oh_readable_range(map->l_addr + header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)))
        return code;
    const Elf64_Phdr *segment = (const Elf64_Phdr *)(map->l_addr + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        uint64_t begin = map->l_addr + segment[i].p_vaddr;
        if (segment[i].p_type == PT_LOAD && (segment[i].p_flags & PF_X) != 0)
            code = (struct oh_elf_span){begin, begin + segment[i].p_memsz};
    }
    return code;
}

static void add_code(const struct oh_elf_span *code)
{
    if (code->begin != 0 && oh_owner_of_caller(code->begin + 1) != OH_KIND_ALLOCATOR)
        (void)oh_owner_add_allocator(code->begin, code->end);
}

// What this code maps is memory that it deals out.
static void own_maps(const struct oh_foreign *c)
{
    for (size_t i = 0; i < c->symbols.code_count; i++)
        add_code(&c->symbols.code[i]);
    if (!c->is_executable) {
        const struct oh_elf_span code = code_of(c->map);
        add_code(&code);
    }
}

// The first module in the loader's order that has it, which is libc.
static struct oh_elf_span find_fork(void)
{
    struct oh_elf_span span = {0, 0};
    struct oh_dynamic dynamic;
    for (const struct link_map *map = _r_debug.r_map; map != NULL && span.begin == 0;
         map = map->l_next) {
        if (oh_dynamic_open(&dynamic, map))
            (void)oh_dynamic_find(&dynamic, "fork", &span);
    }
    return span;
}

// The first jemalloc is the one whose statistics are kept.
static void ask_statistics(const struct oh_foreign *c)
{
    uint64_t mallctl = c->symbols.function[OH_ALLOCATOR_mallctl].begin;
    if (!c->is_jemalloc || mallctl == 0)
        return;
    const struct oh_elf_span fork = find_fork();
    oh_allocator_stats_init((oh_mallctl_fn *)(uintptr_t)mallctl, &fork);
}

static void redirect(struct oh_foreign *c, bool is_new)
{
    bool is_recorded = oh_foreign_redirect(c, is_new);
    own_maps(c);
    if (!is_recorded || is_new)
        return;
    struct oh_format_header *header = oh_recording_header();
    header->flags |= c->is_jemalloc ? OH_FLAG_JEMALLOC : 0;
    header->flags |= c->is_behind ? 0 : OH_FLAG_REDIRECTED;
    ask_statistics(c);
}

static void look_at_library(const struct link_map *map, const struct front *front, bool is_new)
{
    begin(&work, map);
    if (!take_exports(&work))
        return;
    uint64_t code = work.symbols.function[OH_ALLOCATOR_malloc].begin;
    bool is_front = front->code != 0 && oh_foreign_holds(map, front->code);
    bool well_known = is_well_known(&work.dynamic);
    work.is_behind = oh_foreign_holds(map, (uint64_t)(uintptr_t)oh_real.malloc);
    work.has_own_operators = well_known;
    // One that could not be remembered would be redirected once more when the next one comes.
    if (is_known(map, code) || place_of(map, code) >= KNOWN_MAX ||
        (!is_front && !(work.is_behind && well_known) && !work.is_jemalloc) ||
        (is_front && !well_known && comes_back(front)))
        return;
    redirect(&work, is_new);
    remember(map, code);
}

static void look_at_executable(const struct link_map *map, const struct front *front)
{
    begin(&work, map);
    work.is_executable = true;
    int found = oh_executable_find(map->l_addr, &work.symbols);
    work.is_jemalloc = found == 0;
    if (found == -ENOTSUP)
        oh_recording_add_note(
            "the executable has jemalloc in it, but link-time optimization has taken its functions "
            "apart: what is allocated by them is not recorded");
    if (work.is_jemalloc) {
        work.has_own_operators = true;
    } else if (front->code == 0 || !oh_foreign_holds(map, front->code) || !take_exports(&work) ||
               comes_back(front)) {
        return;
    } else {
        oh_recording_add_note(
            "the executable has an allocator of its own, and no symbol tells which: "
            "only what it exports is recorded; what is freed by other functions "
            "looks live");
    }
    redirect(&work, false);
}

// --- the loader --------------------------------------------------------------------------------

typedef void debug_state_fn(void);

static void look_at_libraries(const struct link_map *from, const struct front *front, bool is_new)
{
    for (const struct link_map *map = from; map != NULL; map = map->l_next) {
        if (!oh_foreign_holds(map, (uint64_t)(uintptr_t)&oh_allocators_init))
            look_at_library(map, front, is_new);
    }
}

static bool is_ours(uint64_t address)
{
    return oh_unwind_c_is_one_module((uint64_t)(uintptr_t)&oh_allocators_init, address);
}

// The loader calls it when it has mapped what it was asked for, before any of that code runs.
static void on_loader_state(debug_state_fn *real)
{
    const struct front ours = {0, false};
    int saved = errno;
    if (_r_debug.r_state == RT_CONSISTENT && oh_track_state() == OH_TRACK_ON &&
        !oh_track_is_child() && !oh_sandbox_is_up() && _r_debug.r_map != NULL)
        look_at_libraries(_r_debug.r_map->l_next, &ours, true);
    errno = saved;
    real();
}

static void watch_loader(void)
{
    enum { ROOM = 16 };
    uint64_t at = _r_debug.r_brk;
    struct oh_redirect redirect = {
        .function = {(const uint8_t *)(uintptr_t)at, at, 1, ROOM},
        .hook = (const void *)(uintptr_t)&on_loader_state,
    };
    if (at == 0)
        return;
    if (!oh_redirect_has_other_threads())
        oh_redirect_prepare(&redirect, 1);
    if (redirect.entry == 0 || redirect.refusal != OH_REFUSED_none ||
        oh_redirect_apply(&redirect) != OH_REFUSED_none)
        oh_recording_add_note("the loader cannot be watched: of an allocator that is loaded later "
                              "only malloc and its like are recorded");
}

void oh_allocators_init(bool in_hook)
{
    const struct link_map *executable = _r_debug.r_map;
    struct front front = {oh_dynamic_first("malloc"), in_hook};
    if (executable == NULL)
        return;
    if (is_ours(front.code))
        front.code = 0;
    look_at_executable(executable, &front);
    look_at_libraries(executable->l_next, &front, false);
    watch_loader();
}
