// SPDX-License-Identifier: Apache-2.0
//
// See places.h.

#include "profile/places.h"

#include <errno.h>
#include <string.h>

#include "offheap/hash.h"

enum {
    FIRST_ROOM = 1024,
    PLACES_PER_LOOK = 256, // How often the caller is asked whether to stop.
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS,
    ADDRESS_BITS = 64,
};

static const char goexit_name[] = "runtime.goexit";

int oh_places_init(struct oh_places *places, struct oh_symbols *symbols, struct oh_profile *profile)
{
    memset(places, 0, sizeof *places);
    places->symbols = symbols;
    places->profile = profile;
    places->mappings = oh_arena_array(profile->arena, symbols->module_count,
                                      sizeof *places->mappings, _Alignof(uint32_t));
    return places->mappings == NULL ? -ENOMEM : 0;
}

static int intern_lines(struct oh_places *places, const struct oh_symbol_frame *frame)
{
    struct oh_profile *profile = places->profile;
    struct oh_profile_function function = {.start_line = frame->start_line};
    struct oh_profile_line *line = &places->lines[places->line_count];
    bool has_system_name =
        frame->system_name_len != 0 &&
        (frame->system_name != frame->name || frame->system_name_len != frame->name_len);
    int rc = oh_profile_intern_string(profile, frame->name, frame->name_len, &function.name);
    function.system_name = function.name;
    if (rc == 0 && has_system_name)
        rc = oh_profile_intern_string(profile, frame->system_name, frame->system_name_len,
                                      &function.system_name);
    if (rc == 0 && frame->file_len != 0)
        rc = oh_profile_intern_string(profile, frame->file, frame->file_len, &function.file);
    if (rc == 0)
        rc = oh_profile_intern_function(profile, &function, &line->function);
    line->line = frame->line;
    if (rc != 0)
        return rc;
    const struct oh_profile_string *name = &profile->strings[function.name];
    places->frames[places->line_count] = (struct oh_label_frame){
        .name = name->data,
        .length = name->length,
        .flags = frame->flags,
        .roles = oh_label_roles(name->data, name->length, frame->flags),
    };
    places->line_count++;
    return 0;
}

static int take_frame(void *arg, const struct oh_symbol_frame *frame)
{
    struct oh_places *places = arg;
    if (places->line_count == OH_PLACES_LINES_MAX)
        return 1;
    places->error = intern_lines(places, frame);
    return places->error;
}

int oh_places_make_location(struct oh_places *places, const char *name, uint32_t *location)
{
    const struct oh_symbol_frame frame = {.name = name, .name_len = strlen(name)};
    places->line_count = 0;
    int rc = intern_lines(places, &frame);
    if (rc != 0)
        return rc;
    const struct oh_profile_location made = {
        .lines = places->lines, .line_count = 1, .mapping = OH_PROFILE_NONE};
    return oh_profile_intern_location(places->profile, &made, location);
}

int oh_places_intern_mapping(struct oh_places *places, const struct oh_symbol_module *module,
                             uint32_t *index)
{
    char hex[2 * OH_FORMAT_BUILD_ID_BYTES];
    const struct oh_format_module *raw = &module->raw;
    bool has_text = raw->text_end != 0;
    struct oh_profile_mapping mapping = {
        .start = has_text ? raw->text_start : raw->start,
        .limit = has_text ? raw->text_end : raw->end,
        .offset = has_text ? raw->text_offset : 0,
    };
    size_t id_bytes = raw->build_id_kind == OH_ID_GNU ? raw->build_id_bytes : 0;
    for (size_t i = 0; i < id_bytes; i++) {
        hex[2 * i] = "0123456789abcdef"[raw->build_id[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[raw->build_id[i] & 15];
    }
    int rc =
        oh_profile_intern_string(places->profile, module->path, module->path_len, &mapping.file);
    if (rc == 0)
        rc = oh_profile_intern_string(places->profile, hex, 2 * id_bytes, &mapping.build_id);
    return rc != 0 ? rc : oh_profile_intern_mapping(places->profile, &mapping, index);
}

static int get_mapping(struct oh_places *places, const struct oh_symbol_module *module,
                       uint32_t *index)
{
    uint32_t *known = &places->mappings[module - places->symbols->modules];
    int rc = *known == 0 ? oh_places_intern_mapping(places, module, index) : 0;
    if (rc == 0 && *known == 0)
        *known = *index + 1;
    *index = *known - 1;
    return rc;
}

// Whether profiles leave the address out: the recorder itself, Go's wrappers, a goroutine's root.
static bool is_hidden(const struct oh_places *places, const struct oh_symbol_module *module)
{
    if (module != NULL && (module->raw.flags & OH_MODULE_SELF) != 0)
        return true;
    return places->line_count == 0 ||
           (places->line_count == 1 && (places->frames[0].flags & OH_FRAME_GO) != 0 &&
            strcmp(places->frames[0].name, goexit_name) == 0);
}

static int make_location(struct oh_places *places, struct oh_place *place)
{
    struct oh_profile_location location = {
        .address = place->address,
        .lines = places->lines,
        .line_count = places->line_count,
        .mapping = OH_PROFILE_NONE,
    };
    int rc = place->module != NULL ? get_mapping(places, place->module, &location.mapping) : 0;
    if (rc == 0)
        rc = oh_profile_intern_location(places->profile, &location, &place->location);
    if (rc != 0)
        return rc;
    struct oh_label_frame *frames = oh_arena_array(places->profile->arena, places->line_count,
                                                   sizeof *frames, _Alignof(struct oh_label_frame));
    if (frames == NULL)
        return -ENOMEM;
    memcpy(frames, places->frames, places->line_count * sizeof *frames);
    place->frames = frames;
    place->frame_count = places->line_count;
    return 0;
}

static int name_place(struct oh_places *places, struct oh_place *place)
{
    struct oh_symbol_module *module = place->module;
    if (place->is_named)
        return 0;
    places->line_count = 0;
    places->error = 0;
    if (module == NULL || (module->raw.flags & OH_MODULE_SELF) == 0)
        (void)oh_symbols_frames(places->symbols, module, place->address, take_frame, places);
    int rc = places->error;
    if (rc == 0 && !is_hidden(places, module))
        rc = make_location(places, place);
    place->is_named = rc == 0;
    return rc;
}

// Room for one more, in an array that doubles.
static int grow(struct oh_places *places)
{
    if (places->count < places->room)
        return 0;
    uint32_t room = places->room == 0 ? FIRST_ROOM : places->room * 2;
    struct oh_place *items =
        oh_arena_array(places->profile->arena, room, sizeof *items, _Alignof(struct oh_place));
    if (items == NULL)
        return -ENOMEM;
    if (places->count != 0)
        memcpy(items, places->items, places->count * sizeof *items);
    places->items = items;
    places->room = room;
    return 0;
}

static bool is_place(const struct oh_place *place, uint64_t epoch, uint64_t address)
{
    const struct oh_symbol_module *module = place->module;
    return place->address == address &&
           (module != NULL ? oh_symbols_was_loaded(module, epoch) : place->epoch == epoch);
}

// The place of a pair that has not been seen, or not lately. Two pairs may have one key: the later
// one has another place, and is named again.
static int add_to_module(struct oh_places *places, uint64_t epoch, uint64_t address,
                         uint32_t *number)
{
    struct oh_symbol_module *module = oh_symbols_find_module(places->symbols, epoch, address);
    uint64_t key = oh_hash_mix(module != NULL ? ~(uint64_t)module->number : epoch) ^ address;
    if (oh_keymap_find(&places->by_module, key, number) &&
        places->items[*number].module == module &&
        is_place(&places->items[*number], epoch, address))
        return 0;
    int rc = grow(places);
    if (rc != 0)
        return rc;
    *number = places->count++;
    places->items[*number] =
        (struct oh_place){.module = module, .epoch = epoch, .address = address};
    return oh_keymap_put(&places->by_module, places->profile->arena, key, *number);
}

int oh_places_add(struct oh_places *places, uint64_t epoch, uint64_t address, uint32_t *number)
{
    uint64_t key = oh_hash_mix(epoch) ^ address;
    if (oh_keymap_find(&places->by_epoch, key, number) &&
        is_place(&places->items[*number], epoch, address))
        return 0;
    int rc = add_to_module(places, epoch, address, number);
    return rc != 0 ? rc : oh_keymap_put(&places->by_epoch, places->profile->arena, key, *number);
}

int oh_places_get(struct oh_places *places, uint64_t epoch, uint64_t address,
                  const struct oh_place **place)
{
    uint32_t number = 0;
    int rc = oh_places_add(places, epoch, address, &number);
    if (rc == 0)
        rc = name_place(places, &places->items[number]);
    if (rc == 0)
        *place = &places->items[number];
    return rc;
}

struct entry {
    uint64_t address;
    uint32_t number;
};

// Moves the entries by one digit of their addresses, those of equal ones in their order. False: all
// have the same one, and nothing has moved.
static bool sort_by_digit(const struct entry *from, struct entry *to, uint32_t count,
                          unsigned shift)
{
    uint32_t ends[DIGITS] = {0};
    uint32_t end = 0;
    for (uint32_t i = 0; i < count; i++)
        ends[from[i].address >> shift & (DIGITS - 1)]++;
    if (ends[from[0].address >> shift & (DIGITS - 1)] == count)
        return false;
    for (unsigned digit = 0; digit < DIGITS; digit++)
        ends[digit] = end += ends[digit];
    for (uint32_t i = count; i-- > 0;)
        to[--ends[from[i].address >> shift & (DIGITS - 1)]] = from[i];
    return true;
}

// The places by address; NULL: no memory. Sorted digit by digit, from the last one on: the C
// library's sort may allocate, and compares.
static const struct entry *sort(const struct oh_places *places)
{
    struct oh_arena *arena = places->profile->arena;
    const uint32_t count = places->count;
    struct entry *from = oh_arena_array(arena, count, sizeof *from, _Alignof(struct entry));
    struct entry *to = oh_arena_array(arena, count, sizeof *to, _Alignof(struct entry));
    if (from == NULL || to == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        from[i] = (struct entry){.address = places->items[i].address, .number = i};
    for (unsigned shift = 0; shift < ADDRESS_BITS && count != 0; shift += DIGIT_BITS) {
        if (sort_by_digit(from, to, count, shift)) {
            struct entry *sorted = to;
            to = from;
            from = sorted;
        }
    }
    return from;
}

int oh_places_name(struct oh_places *places, oh_places_stop_fn *stop, void *arg)
{
    const uint32_t count = places->count;
    const struct entry *order = sort(places);
    int rc = order == NULL ? -ENOMEM : oh_profile_expect(places->profile, count);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        if (stop != NULL && i % PLACES_PER_LOOK == 0 && stop(arg))
            rc = -ETIMEDOUT;
        else
            rc = name_place(places, &places->items[order[i].number]);
    }
    return rc;
}
