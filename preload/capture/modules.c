// SPDX-License-Identifier: Apache-2.0
#include "capture/modules.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/go_runtime.h"
#include "capture/module_facts.h"
#include "capture/unwind.h"
#include "offheap/hash.h"
#include "recording/recording.h"

enum { KNOWN_MAX = 10240 }; // No less than the recording's table can hold.

enum known_state { KNOWN_FREE, KNOWN_CLAIMED, KNOWN_ACTIVE, KNOWN_GONE, KNOWN_CLOSED };

// What this process remembers of a module beside its entry in the recording.
struct known {
    uint64_t state;
    const struct link_map *map;
    uint64_t start, end;
    uint64_t name_hash;
    struct oh_format_module *entry;
};

static struct {
    uint64_t count; // Slots claimed; may run past KNOWN_MAX.
    uint64_t gone;
    uint64_t unloading; // Calls under way that may unload something.
    struct known known[KNOWN_MAX] OH_OWN_LINES;
} OH_OWN_LINES modules;

typedef int find_object_fn(void *address, struct dl_find_object *result);
static find_object_fn *find_object OH_READ_MOSTLY;

static uint64_t hash_name(const char *name)
{
    uint64_t hash = 1;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t known_count(void)
{
    uint64_t count = oh_load_relaxed(&modules.count);
    return count < KNOWN_MAX ? count : KNOWN_MAX;
}

static bool look_up(uint64_t pc, struct dl_find_object *object)
{
    return find_object != NULL && find_object((void *)pc, object) == 0 &&
           object->dlfo_link_map != NULL;
}

static bool is_same_load(const struct known *known, const struct dl_find_object *object)
{
    return known->map == object->dlfo_link_map &&
           known->start == (uint64_t)object->dlfo_map_start &&
           known->name_hash == hash_name(object->dlfo_link_map->l_name);
}

// The same, asked by a thread that does not have the module on its stack: another thread may unload
// it at this moment, so nothing of the loader's may be read, only compared. A successor that the
// loader put at the very same place, described at the very same place, passes for it; the first new
// stack through it tells (is_same_load).
static bool is_still_there(const struct known *known, const struct dl_find_object *object)
{
    return known->map == object->dlfo_link_map && known->start == (uint64_t)object->dlfo_map_start;
}

// Only for an object on the calling thread's stack, which cannot go away meanwhile.
static const struct known *find_active(const struct dl_find_object *object)
{
    uint64_t count = known_count();
    for (uint64_t i = 0; i < count; i++) {
        const struct known *known = &modules.known[i];
        if (oh_load_acquire(&known->state) == KNOWN_ACTIVE && is_same_load(known, object))
            return known;
    }
    return NULL;
}

bool oh_modules_settled(void)
{
    return oh_load_acquire(&modules.gone) == 0 && oh_load_acquire(&modules.unloading) == 0;
}

uint64_t oh_modules_epoch(void)
{
    return oh_load_relaxed(&oh_recording_header()->epoch);
}

static void raise_epoch(uint64_t least)
{
    enum { TRIES = 64 };
    uint64_t *epoch = &oh_recording_header()->epoch;
    uint64_t seen = oh_load_relaxed(epoch);
    for (int i = 0; i < TRIES && seen < least; i++) {
        if (oh_cas_acq_rel(epoch, &seen, least))
            return;
    }
}

// From here on the addresses of this module mean something else. Threads that close one module at
// once agree on its last epoch (the first one's word stands) and each see to it that the next has
// begun: what they register in its place then begins there.
static void close_module(struct known *known, uint64_t state)
{
    uint64_t last = UINT64_MAX;
    uint64_t now = oh_modules_epoch();
    if (oh_cas_acq_rel(&known->entry->last_epoch, &last, now))
        last = now;
    raise_epoch(last + 1);
    oh_unwind_forget_modules();
    if (oh_cas_acq_rel(&known->state, &state, KNOWN_CLOSED) && state == KNOWN_GONE)
        (void)oh_sub_release(&modules.gone, 1);
}

static bool revive(struct known *known, const struct dl_find_object *object)
{
    uint64_t gone = KNOWN_GONE;
    known->map = object->dlfo_link_map;
    known->name_hash = hash_name(object->dlfo_link_map->l_name);
    if (oh_cas_acq_rel(&known->state, &gone, KNOWN_ACTIVE))
        (void)oh_sub_release(&modules.gone, 1);
    return true;
}

// Settles what lay before where `facts` lies now: true when it is the same file, come back.
static bool settle_place(const struct dl_find_object *object, const struct oh_format_module *facts)
{
    bool revived = false;
    uint64_t count = known_count();
    for (uint64_t i = 0; i < count; i++) {
        struct known *known = &modules.known[i];
        uint64_t state = oh_load_acquire(&known->state);
        if ((state != KNOWN_ACTIVE && state != KNOWN_GONE) || known->end <= facts->start ||
            facts->end <= known->start)
            continue;
        if (state == KNOWN_ACTIVE && is_same_load(known, object))
            continue; // Another thread was faster.
        if (state == KNOWN_GONE && oh_module_facts_same(known->entry, facts))
            revived = revive(known, object);
        else
            close_module(known, state);
    }
    return revived;
}

static struct oh_format_module *take_entry(void)
{
    for (uint32_t level = 0;; level++) {
        struct oh_format_section *section = oh_recording_section(OH_SECTION_MODULES, level);
        if (section == NULL || oh_recording_reserve(section) < 0)
            break;
        uint64_t at = oh_recording_take(section, sizeof(struct oh_format_module));
        if (at != 0)
            return oh_recording_at(at);
    }
    oh_recording_count(OH_COUNTER_modules_full);
    return NULL;
}

static void publish_entry(struct oh_format_module *entry, const struct oh_format_module *facts)
{
    size_t first = offsetof(struct oh_format_module, first_epoch);
    oh_store_relaxed(&entry->state, OH_MODULE_CLAIMED);
    memcpy((char *)entry + first, (const char *)facts + first, sizeof *facts - first);
    entry->first_epoch = oh_modules_epoch();
    entry->last_epoch = UINT64_MAX;
    oh_store_release(&entry->state, OH_MODULE_READY);
}

static void register_module(const struct dl_find_object *object)
{
    struct oh_format_module facts;
    struct oh_go_runtime go;
    bool is_go = oh_module_facts_read(&facts, object, &go);
    if (settle_place(object, &facts))
        return;
    struct oh_format_module *entry = take_entry();
    if (entry == NULL)
        return;
    uint64_t slot = oh_add_relaxed(&modules.count, 1);
    if (slot >= KNOWN_MAX)
        return;
    oh_module_facts_name(&facts, object);
    publish_entry(entry, &facts);
    if (is_go)
        (void)oh_go_runtime_add(&go);
    struct known *known = &modules.known[slot];
    known->map = object->dlfo_link_map;
    known->start = facts.start;
    known->end = facts.end;
    known->name_hash = hash_name(object->dlfo_link_map->l_name);
    known->entry = entry;
    oh_store_release(&known->state, KNOWN_ACTIVE);
}

static void note_address(uint64_t pc)
{
    struct dl_find_object object;
    if (look_up(pc, &object) && find_active(&object) == NULL)
        register_module(&object);
}

uint64_t oh_modules_note(const uint64_t *pcs, uint32_t depth)
{
    uint64_t start = 1, end = 0; // The module of the frame before: neighbours mostly share it.
    for (uint32_t i = 0; i < depth; i++) {
        struct dl_find_object object;
        uint64_t pc = pcs[i] - 1;
        if ((pc >= start && pc < end) || !look_up(pc, &object))
            continue;
        if (find_active(&object) == NULL)
            register_module(&object);
        start = (uint64_t)object.dlfo_map_start;
        end = (uint64_t)object.dlfo_map_end;
    }
    return oh_modules_epoch();
}

void oh_modules_unloading(void)
{
    (void)oh_add_relaxed(&modules.unloading, 1);
}

void oh_modules_unloaded(void)
{
    uint64_t count = known_count();
    bool any = false;
    for (uint64_t i = 0; i < count; i++) {
        struct known *known = &modules.known[i];
        struct dl_find_object object;
        uint64_t active = KNOWN_ACTIVE;
        if (oh_load_acquire(&known->state) != KNOWN_ACTIVE ||
            (look_up(known->entry->text_start, &object) && is_still_there(known, &object)))
            continue;
        (void)oh_add_relaxed(&modules.gone, 1);
        if (!oh_cas_acq_rel(&known->state, &active, KNOWN_GONE))
            (void)oh_sub_relaxed(&modules.gone, 1);
        any = true;
    }
    if (any)
        oh_unwind_forget_modules();
    (void)oh_sub_release(&modules.unloading, 1);
}

void oh_modules_init(void)
{
    find_object = (find_object_fn *)dlsym(RTLD_DEFAULT, "_dl_find_object");
    if (find_object == NULL)
        oh_recording_add_note("this libc has no _dl_find_object (glibc 2.35 has): modules and "
                              "functions cannot be named");
    note_address(getauxval(AT_ENTRY));
    note_address((uint64_t)(uintptr_t)&oh_modules_init);
    oh_unwind_on_unknown(note_address);
}

void oh_modules_executable(struct oh_modules_executable *executable)
{
    struct dl_find_object object;
    memset(executable, 0, sizeof *executable);
    executable->phdrs = (const Elf64_Phdr *)getauxval(AT_PHDR);
    executable->phdr_count = (unsigned)getauxval(AT_PHNUM);
    if (!look_up(getauxval(AT_ENTRY), &object))
        return;
    executable->bias = object.dlfo_link_map->l_addr;
    const struct oh_go_runtime *go = oh_go_runtime_get(0);
    if (go != NULL && go->text >= (uint64_t)object.dlfo_map_start &&
        go->text < (uint64_t)object.dlfo_map_end)
        executable->go = go;
}
