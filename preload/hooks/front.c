// SPDX-License-Identifier: Apache-2.0
#include "hooks/front.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator/dynamic.h"
#include "allocator/foreign.h"
#include "base/text.h"
#include "patch/redirect.h"
#include "recording/recording.h"

enum { NOTE_BYTES = 300 };

// What takes away comes first.
static const char *const names[] = {"munmap", "mremap", "mmap64", "mmap", "sbrk"};
enum { NAMES = sizeof names / sizeof names[0] };

static const struct link_map *map_of(uint64_t address)
{
    const struct link_map *map = _r_debug.r_map;
    while (map != NULL && !oh_foreign_holds(map, address))
        map = map->l_next;
    return map;
}

static bool finds(const struct link_map *map, const char *name, struct oh_elf_span *out)
{
    struct oh_dynamic dynamic;
    return oh_dynamic_open(&dynamic, map) && oh_dynamic_find(&dynamic, name, out);
}

static bool is_listed(const struct oh_redirect *redirects, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++) {
        if (redirects[i].function.address == address)
            return true;
    }
    return false;
}

// Each of the functions that both have.
static size_t list(const struct link_map *front, const struct link_map *ours,
                   struct oh_redirect redirects[NAMES])
{
    size_t count = 0;
    for (size_t i = 0; i < NAMES; i++) {
        struct oh_elf_span theirs, hook;
        if (!finds(front, names[i], &theirs) || !finds(ours, names[i], &hook) ||
            is_listed(redirects, count, theirs.begin))
            continue;
        redirects[count++] = (struct oh_redirect){
            .function = {(const uint8_t *)(uintptr_t)theirs.begin, theirs.begin,
                         theirs.end - theirs.begin, theirs.end - theirs.begin},
            .arguments = OH_REDIRECT_FOR_GOOD,
            .hook = (const void *)(uintptr_t)hook.begin,
        };
    }
    return count;
}

static bool redirect(const struct link_map *front, const struct link_map *ours)
{
    struct oh_redirect redirects[NAMES];
    size_t count = list(front, ours, redirects);
    oh_redirect_prepare(redirects, count);
    for (size_t i = 0; i < count; i++) {
        if (redirects[i].refusal != OH_REFUSED_none)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (oh_redirect_apply(&redirects[i]) != OH_REFUSED_none)
            return false;
    }
    return true;
}

static void tell(const struct link_map *front)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    oh_text_init(&text, note, sizeof note);
    oh_text_add(&text, front->l_name[0] != '\0' ? front->l_name : "the executable");
    oh_text_add(&text, " stands before the mmap family: calls that it does not pass on are not "
                       "recorded");
    oh_recording_add_note(note);
}

void oh_front_init(void)
{
    struct oh_elf_span mark;
    const struct link_map *front = map_of(oh_dynamic_first("mmap"));
    const struct link_map *ours = map_of((uint64_t)(uintptr_t)&oh_front_init);
    if (front == NULL || ours == NULL || front == ours)
        return;
    if (!finds(front, "tc_malloc", &mark) || oh_redirect_has_other_threads() ||
        !redirect(front, ours))
        tell(front);
}
