// SPDX-License-Identifier: Apache-2.0
#include "hooks/allocators.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "base/text.h"
#include "base/thread.h"
#include "capture/unwind_c.h"
#include "hooks/dynamic.h"
#include "hooks/hooks_allocator.h"
#include "patch/decode.h"
#include "patch/redirect.h"
#include "profile/allocator.h"
#include "profile/image.h"
#include "recording/real.h"
#include "recording/recording.h"
#include "track/track.h"

enum {
    KNOWN_MAX = 32,
    NOTE_BYTES = 400,
    NOTES_MAX = 4, // On refusals, of one allocator.
    SMALL_BYTES = 16,
    NAME_BYTES = 64,
    CODE_ALIGN = 16, // Functions begin at its multiples; what is between is padding.
    INDIRECT_JUMP = 0xff,
    NEIGHBOUR_BYTES = 64 * 1024
};

// An allocator while it is looked at. Only one is at a time: first by the thread that brings the
// library up, later under the loader's lock.
static struct candidate {
    const struct link_map *map;
    struct oh_dynamic dynamic;
    bool has_dynamic;
    bool is_executable;
    bool is_jemalloc;
    bool is_behind; // Our hooks of malloc and its like call it.
    bool has_own_operators;
    struct oh_allocator_symbols symbols; // By address.
    size_t count;
    uint8_t which[OH_ALLOCATOR_FUNCTIONS]; // enum oh_allocator_function of each that follows.
    struct oh_redirect redirect[OH_ALLOCATOR_FUNCTIONS];
} work;

_Static_assert((int)OH_ALLOCATOR_FUNCTIONS <= (int)OH_REDIRECT_FUNCTIONS_MAX, "one batch");

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

// Of several entries for one place the oldest are worth least.
static void remember(const struct link_map *map, uint64_t code)
{
    size_t at = known_count < KNOWN_MAX ? known_count++ : known_count - 1;
    known[at].map = map;
    known[at].code = (const uint64_t *)(uintptr_t)code;
    known[at].word = word_at(known[at].code);
}

// Where the module begins that the address lies in; 0: in none.
static uint64_t module_of(uint64_t address)
{
    struct oh_c_module module;
    return oh_unwind_c_find_module(address, &module) == 0 ? module.begin : 0;
}

static bool is_in(const struct link_map *map, uint64_t address)
{
    uint64_t module = module_of((uint64_t)(uintptr_t)map->l_ld);
    return module != 0 && module == module_of(address);
}

static bool is_hooked_name(const char *name)
{
    static const char *const names[] = {
#define OH_HOOK(name) #name,
#include "offheap/hooks.def"
#undef OH_HOOK
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool makes_blocks(unsigned shape)
{
    return shape <= OH_SHAPE_ALLOC_INTO;
}

// --- what a function goes on to ----------------------------------------------------------------

static struct oh_function function_at(const struct oh_elf_span *span)
{
    uint64_t padded = (span->end + CODE_ALIGN - 1) & ~(uint64_t)(CODE_ALIGN - 1);
    return (struct oh_function){.code = (const uint8_t *)(uintptr_t)span->begin,
                                .address = span->begin,
                                .size = (size_t)(span->end - span->begin),
                                .room = (size_t)(padded - span->begin)};
}

// Whether the code at an address is an entry of the procedure linkage table that leads to one of our
// hooks, or to who stands before us.
static bool leads_to_hook(const struct candidate *c, uint64_t target)
{
    enum { ENTRY_BYTES = 16 };
    struct oh_instruction instruction;
    const uint8_t *code = (const uint8_t *)(uintptr_t)target;
    if (!c->has_dynamic || !is_in(c->map, target) ||
        !oh_decode(code, ENTRY_BYTES, target, &instruction))
        return false;
    if (instruction.is_landing) {
        target += instruction.length;
        code += instruction.length;
        if (!oh_decode(code, ENTRY_BYTES - instruction.length, target, &instruction))
            return false;
    }
    if (instruction.opcode != INDIRECT_JUMP || instruction.rip_offset == 0)
        return false;
    uint64_t slot = target + instruction.length + (uint64_t)(int64_t)instruction.rip_displacement;
    const char *name = oh_dynamic_slot(&c->dynamic, slot);
    return name != NULL && is_hooked_name(name);
}

static bool is_recorded(const struct candidate *c, enum oh_allocator_function function,
                        uint64_t target)
{
    bool makes = makes_blocks(oh_allocator_facts(function)->shape);
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        if (i != (int)function && c->symbols.function[i].begin == target &&
            makes_blocks(oh_allocator_facts((enum oh_allocator_function)i)->shape) == makes)
            return true;
    }
    return leads_to_hook(c, target);
}

// Whether the function goes on to a recorded one of its kind: at once, or, for one that makes blocks
// and `deep`, anywhere in its code. (A second free of a block finds nothing.)
static bool goes_on(const struct candidate *c, enum oh_allocator_function which, bool deep)
{
    const struct oh_function function = function_at(&c->symbols.function[which]);
    struct oh_instruction instruction;
    size_t end = deep && makes_blocks(oh_allocator_facts(which)->shape) ? function.size : 1;
    for (size_t at = 0; at < end && at < function.size; at += instruction.length) {
        if (!oh_decode(function.code + at, function.size - at, function.address + at, &instruction))
            return false;
        bool leaves = instruction.flow == OH_FLOW_JUMP || instruction.flow == OH_FLOW_CALL;
        if (leaves && instruction.direct && is_recorded(c, which, instruction.target))
            return true;
    }
    return false;
}

// --- the list ----------------------------------------------------------------------------------

static bool is_listed(const struct candidate *c, uint64_t address)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->redirect[i].function.address == address)
            return true;
    }
    return false;
}

static bool is_to_be_redirected(const struct candidate *c, enum oh_allocator_function which)
{
    const struct oh_allocator_facts *facts = oh_allocator_facts(which);
    const struct oh_elf_span *span = &c->symbols.function[which];
    if (span->begin == 0 || is_listed(c, span->begin) ||
        (!facts->has_prefix && !c->has_own_operators) ||
        (c->is_behind && c->symbols.prefix[0] == '\0' && is_hooked_name(facts->name)))
        return false;
    return !goes_on(c, which, !facts->has_prefix || !c->is_jemalloc);
}

static void list_functions(struct candidate *c)
{
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        enum oh_allocator_function which = (enum oh_allocator_function)i;
        if (!is_to_be_redirected(c, which))
            continue;
        const struct oh_allocator_facts *facts = oh_allocator_facts(which);
        c->which[c->count] = (uint8_t)i;
        c->redirect[c->count++] = (struct oh_redirect){
            .function = function_at(&c->symbols.function[i]),
            .arguments = facts->arguments,
            .hook = oh_allocator_hook(facts),
        };
    }
}

// --- telling -----------------------------------------------------------------------------------

static void begin_note(struct oh_text *text, char note[NOTE_BYTES], const struct candidate *c)
{
    oh_text_init(text, note, NOTE_BYTES);
    if (c->is_executable)
        oh_text_add(text, "the executable");
    else
        oh_text_add(text, c->map->l_name);
}

static void tell_refusals(const struct candidate *c)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    size_t told = 0;
    for (size_t i = 0; i < c->count; i++) {
        enum oh_refusal refusal = (enum oh_refusal)c->redirect[i].refusal;
        if (refusal == OH_REFUSED_none || told++ >= NOTES_MAX)
            continue;
        const struct oh_allocator_facts *facts =
            oh_allocator_facts((enum oh_allocator_function)c->which[i]);
        begin_note(&text, note, c);
        oh_text_add(&text, ": ");
        oh_text_add(&text, facts->has_prefix ? c->symbols.prefix : "");
        oh_text_add(&text, facts->name);
        oh_text_add(&text, " is not redirected: ");
        oh_text_add(&text, oh_refusal_text(refusal));
        oh_recording_add_note(note);
    }
    if (told <= NOTES_MAX)
        return;
    begin_note(&text, note, c);
    oh_text_add(&text, ": so are ");
    oh_text_add_u64(&text, told - NOTES_MAX);
    oh_text_add(&text, " more of its allocator's functions");
    oh_recording_add_note(note);
}

static void tell(const struct candidate *c, const char *what)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    begin_note(&text, note, c);
    oh_text_add(&text, " has an allocator of its own (");
    oh_text_add(&text, c->symbols.prefix);
    oh_text_add(&text, c->is_jemalloc ? "malloc, jemalloc): " : "malloc): ");
    oh_text_add(&text, what);
    oh_recording_add_note(note);
}

// --- doing it ----------------------------------------------------------------------------------

static bool any_refused(const struct candidate *c, bool makes)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct oh_allocator_facts *facts =
            oh_allocator_facts((enum oh_allocator_function)c->which[i]);
        if (c->redirect[i].refusal != OH_REFUSED_none && makes_blocks(facts->shape) == makes)
            return true;
    }
    return false;
}

static void apply(struct candidate *c, bool makes)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct oh_allocator_facts *facts =
            oh_allocator_facts((enum oh_allocator_function)c->which[i]);
        if (c->redirect[i].refusal == OH_REFUSED_none && makes_blocks(facts->shape) == makes)
            (void)oh_redirect_apply(&c->redirect[i]);
    }
}

// Whether threads run that may be inside the functions.
static bool has_other_threads(void)
{
    enum { LINKS_ALONE = 3 }; // Of the directory of threads: two, and one for each.
    struct stat st;
    return oh_sys_stat("/proc/self/task", &st) == 0 && st.st_nlink > LINKS_ALONE;
}

// What frees comes first, and what makes blocks only when all of that is done.
static void settle(struct candidate *c, bool is_new)
{
    list_functions(c);
    if (c->count == 0)
        return;
    if (!is_new && has_other_threads()) {
        tell(c, "not recorded, because other threads were running before the recorder was loaded");
        return;
    }
    oh_redirect_prepare(c->redirect, c->count);
    if (!any_refused(c, false))
        apply(c, false);
    if (!any_refused(c, false)) {
        apply(c, true);
        if (!c->is_behind && !is_new)
            tell(c, "its functions are redirected to the recorder");
    } else {
        tell(c, "not recorded, because not all that frees can be redirected");
    }
    tell_refusals(c);
}

// --- finding them ------------------------------------------------------------------------------

static void begin_candidate(struct candidate *c, const struct link_map *map)
{
    memset(c, 0, sizeof *c);
    c->map = map;
    c->has_dynamic = oh_dynamic_open(&c->dynamic, map);
}

static bool find_export(const struct candidate *c, const char *prefix, const char *name,
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
static bool take_exports(struct candidate *c)
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

// Whether an allocator before us is only a layer, which ends in our hooks.
static bool comes_back(void)
{
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

static void look_at_library(const struct link_map *map, uint64_t front, bool is_new)
{
    begin_candidate(&work, map);
    if (!take_exports(&work))
        return;
    uint64_t code = work.symbols.function[OH_ALLOCATOR_malloc].begin;
    bool is_front = front != 0 && is_in(map, front);
    bool well_known = is_well_known(&work.dynamic);
    work.is_behind = is_in(map, (uint64_t)(uintptr_t)oh_real.malloc);
    work.has_own_operators = well_known;
    if (is_known(map, code) ||
        (!is_front && !(work.is_behind && well_known) && !work.is_jemalloc) ||
        (is_front && !well_known && comes_back()))
        return;
    settle(&work, is_new);
    remember(map, code);
}

// Operators in an executable may be its own, which come to malloc in ways that cannot be seen here.
// jemalloc's lie beside its other functions.
static void drop_foreign_operators(struct candidate *c)
{
    uint64_t begin = UINT64_MAX, end = 0;
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        const struct oh_elf_span *span = &c->symbols.function[i];
        if (span->begin == 0 || !oh_allocator_facts((enum oh_allocator_function)i)->has_prefix)
            continue;
        begin = span->begin < begin ? span->begin : begin;
        end = span->end > end ? span->end : end;
    }
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        struct oh_elf_span *span = &c->symbols.function[i];
        if (!oh_allocator_facts((enum oh_allocator_function)i)->has_prefix &&
            (span->begin + NEIGHBOUR_BYTES < begin || span->begin > end + NEIGHBOUR_BYTES))
            *span = (struct oh_elf_span){0, 0};
    }
}

// By the symbols of its file. False: it holds no jemalloc, as far as they tell.
static bool take_symbols(struct candidate *c)
{
    struct oh_image image;
    if (oh_image_open(&image, "/proc/self/exe", NULL) < 0)
        return false;
    bool found = oh_allocator_find(&image.elf, &c->symbols) == 0;
    oh_image_close(&image);
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS && found; i++) {
        struct oh_elf_span *span = &c->symbols.function[i];
        if (span->begin != 0)
            *span = (struct oh_elf_span){c->map->l_addr + span->begin, c->map->l_addr + span->end};
    }
    return found;
}

static void look_at_executable(const struct link_map *map, uint64_t front)
{
    begin_candidate(&work, map);
    work.is_executable = true;
    work.is_jemalloc = take_symbols(&work);
    if (work.is_jemalloc) {
        work.has_own_operators = true;
        drop_foreign_operators(&work);
    } else if (front == 0 || !is_in(map, front) || !take_exports(&work) || comes_back()) {
        return;
    }
    settle(&work, false);
}

// --- the loader --------------------------------------------------------------------------------

typedef void debug_state_fn(void);

static void look_at_libraries(const struct link_map *from, uint64_t front, bool is_new)
{
    for (const struct link_map *map = from; map != NULL; map = map->l_next) {
        if (!is_in(map, (uint64_t)(uintptr_t)&oh_allocators_init))
            look_at_library(map, front, is_new);
    }
}

// The loader calls it when it has mapped what it was asked for, before any of that code runs.
static void on_loader_state(debug_state_fn *real)
{
    int saved = errno;
    if (_r_debug.r_state == RT_CONSISTENT && oh_track_state() == OH_TRACK_ON &&
        !oh_track_is_child() && _r_debug.r_map != NULL)
        look_at_libraries(_r_debug.r_map->l_next, 0, true);
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
    oh_redirect_prepare(&redirect, 1);
    if (redirect.refusal != OH_REFUSED_none || oh_redirect_apply(&redirect) != OH_REFUSED_none)
        oh_recording_add_note("the loader cannot be watched: of an allocator that is loaded later "
                              "only malloc and its like are recorded");
}

void oh_allocators_init(void)
{
    const struct link_map *executable = _r_debug.r_map;
    uint64_t front = (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "malloc");
    if (executable == NULL)
        return;
    if (module_of(front) == module_of((uint64_t)(uintptr_t)&oh_allocators_init))
        front = 0;
    look_at_executable(executable, front);
    look_at_libraries(executable->l_next, front, false);
    watch_loader();
}
