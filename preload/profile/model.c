// SPDX-License-Identifier: Apache-2.0
//
// See model.h. The five kinds of entries share one way of being interned: an array that doubles in
// the arena, and a hash set of indices beside it.

#include "profile/model.h"

#include <errno.h>
#include <string.h>

#include "base/logarithm.h"
#include "offheap/hash.h"

enum {
    FIRST_ROOM = 64,
    FIRST_SLOTS = 128,
    MAX_ENTRIES = INT32_MAX / 2,
    REPLACEMENT_BYTES = 3,
};

static const char replacement[REPLACEMENT_BYTES] = {(char)0xef, (char)0xbf, (char)0xbd};

struct list {
    void *items;
    uint32_t count;
    uint32_t room;
};

// What is particular to a kind of entry. adopt replaces the caller's arrays by copies.
struct kind {
    size_t bytes;
    uint32_t (*hash)(const void *entry);
    bool (*same)(const void *a, const void *b);
    int (*adopt)(struct oh_arena *arena, void *entry);
};

static uint32_t hash_words(uint64_t seed, const uint32_t *words, size_t count)
{
    uint64_t hash = seed;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)oh_hash_mix(hash);
}

static uint32_t hash_string(const void *entry)
{
    const struct oh_profile_string *string = entry;
    const char *at = string->data;
    size_t left = string->length;
    uint64_t hash = left;
    uint64_t word = 0;
    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, at, left);
    return (uint32_t)oh_hash_mix(hash ^ word);
}

static bool same_string(const void *a, const void *b)
{
    const struct oh_profile_string *x = a;
    const struct oh_profile_string *y = b;
    return x->length == y->length && memcmp(x->data, y->data, x->length) == 0;
}

static int adopt_string(struct oh_arena *arena, void *entry)
{
    struct oh_profile_string *string = entry;
    char *copy = oh_arena_alloc(arena, (size_t)string->length + 1, 1);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, string->data, string->length);
    string->data = copy;
    return 0;
}

static uint32_t hash_mapping(const void *entry)
{
    const struct oh_profile_mapping *mapping = entry;
    const uint32_t words[] = {mapping->file, mapping->build_id, (uint32_t)(mapping->start >> 12)};
    return hash_words(mapping->limit, words, sizeof words / sizeof words[0]);
}

static bool same_mapping(const void *a, const void *b)
{
    const struct oh_profile_mapping *x = a;
    const struct oh_profile_mapping *y = b;
    return x->start == y->start && x->limit == y->limit && x->offset == y->offset &&
           x->file == y->file && x->build_id == y->build_id;
}

static uint32_t hash_function(const void *entry)
{
    const struct oh_profile_function *function = entry;
    const uint32_t words[] = {function->name, function->system_name, function->file,
                              function->start_line};
    return hash_words(1, words, sizeof words / sizeof words[0]);
}

static bool same_function(const void *a, const void *b)
{
    const struct oh_profile_function *x = a;
    const struct oh_profile_function *y = b;
    return x->name == y->name && x->system_name == y->system_name && x->file == y->file &&
           x->start_line == y->start_line;
}

static uint32_t hash_location(const void *entry)
{
    const struct oh_profile_location *location = entry;
    uint64_t hash = location->address ^ location->mapping;
    for (uint32_t i = 0; i < location->line_count; i++) {
        const uint32_t words[] = {location->lines[i].function, location->lines[i].line};
        hash = hash * 31 + hash_words(2, words, 2);
    }
    return (uint32_t)oh_hash_mix(hash);
}

static bool same_location(const void *a, const void *b)
{
    const struct oh_profile_location *x = a;
    const struct oh_profile_location *y = b;
    return x->address == y->address && x->mapping == y->mapping && x->line_count == y->line_count &&
           memcmp(x->lines, y->lines, x->line_count * sizeof *x->lines) == 0;
}

static int adopt_location(struct oh_arena *arena, void *entry)
{
    struct oh_profile_location *location = entry;
    size_t bytes = location->line_count * sizeof *location->lines;
    void *copy = oh_arena_alloc(arena, bytes, _Alignof(struct oh_profile_line));
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, location->lines, bytes);
    location->lines = copy;
    return 0;
}

static uint32_t hash_sample(const void *entry)
{
    const struct oh_profile_sample *sample = entry;
    return hash_words(hash_words(3, sample->labels, OH_LABEL_COUNT), sample->locations,
                      sample->depth);
}

static bool same_sample(const void *a, const void *b)
{
    const struct oh_profile_sample *x = a;
    const struct oh_profile_sample *y = b;
    if (x->depth != y->depth || memcmp(x->labels, y->labels, sizeof x->labels) != 0)
        return false;
    // A sample without a stack may have no array at all, which memcmp must not be given.
    return x->depth == 0 ||
           memcmp(x->locations, y->locations, x->depth * sizeof *x->locations) == 0;
}

static int adopt_sample(struct oh_arena *arena, void *entry)
{
    struct oh_profile_sample *sample = entry;
    size_t bytes = sample->depth * sizeof *sample->locations;
    if (bytes == 0)
        return 0;
    void *copy = oh_arena_alloc(arena, bytes, _Alignof(uint32_t));
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, sample->locations, bytes);
    sample->locations = copy;
    return 0;
}

static const struct kind string_kind = {sizeof(struct oh_profile_string), hash_string, same_string,
                                        adopt_string};
static const struct kind mapping_kind = {sizeof(struct oh_profile_mapping), hash_mapping,
                                         same_mapping, NULL};
static const struct kind function_kind = {sizeof(struct oh_profile_function), hash_function,
                                          same_function, NULL};
static const struct kind location_kind = {sizeof(struct oh_profile_location), hash_location,
                                          same_location, adopt_location};
static const struct kind sample_kind = {sizeof(struct oh_profile_sample), hash_sample, same_sample,
                                        adopt_sample};

static void *item(const struct kind *kind, const struct list *list, uint32_t index)
{
    return (uint8_t *)list->items + (size_t)index * kind->bytes;
}

// The number of an equal entry, 0 when there is none.
static uint32_t find_number(const struct kind *kind, const struct list *list,
                            const struct oh_profile_set *set, const void *entry, uint32_t hash)
{
    if (set->capacity == 0)
        return 0;
    uint32_t mask = set->capacity - 1;
    uint32_t at = hash & mask;
    while (set->slots[at].number != 0 &&
           (set->slots[at].hash != hash ||
            !kind->same(item(kind, list, set->slots[at].number - 1), entry)))
        at = (at + 1) & mask;
    return set->slots[at].number;
}

// The slot's entry is not in the set, which has an empty slot.
static void put_slot(struct oh_profile_set *set, struct oh_profile_slot slot)
{
    uint32_t at = slot.hash & (set->capacity - 1);
    while (set->slots[at].number != 0)
        at = (at + 1) & (set->capacity - 1);
    set->slots[at] = slot;
    set->count++;
}

// Room for `count` entries in all, and at most half of the slots taken.
static int grow_set(struct oh_arena *arena, struct oh_profile_set *set, uint32_t count)
{
    if (count <= set->capacity / 2)
        return 0;
    struct oh_profile_set larger = {.capacity = set->capacity == 0 ? FIRST_SLOTS : set->capacity};
    while (count > larger.capacity / 2)
        larger.capacity *= 2;
    larger.slots = oh_arena_array(arena, larger.capacity, sizeof *larger.slots,
                                  _Alignof(struct oh_profile_slot));
    if (larger.slots == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < set->capacity; i++) {
        if (set->slots[i].number != 0)
            put_slot(&larger, set->slots[i]);
    }
    *set = larger;
    return 0;
}

static int grow_list(struct oh_arena *arena, size_t bytes, struct list *list, uint32_t count)
{
    if (count <= list->room)
        return 0;
    if (count > MAX_ENTRIES)
        return -EOVERFLOW;
    uint32_t room = list->room == 0 ? FIRST_ROOM : list->room;
    while (count > room)
        room *= 2;
    void *items = oh_arena_array(arena, room, bytes, _Alignof(uint64_t));
    if (items == NULL)
        return -ENOMEM;
    if (list->count != 0)
        memcpy(items, list->items, list->count * bytes);
    list->items = items;
    list->room = room;
    return 0;
}

// 1 when the entry is new, 0 when an equal one was there, negative without memory.
static int intern(struct oh_arena *arena, const struct kind *kind, struct list *list,
                  struct oh_profile_set *set, const void *entry, uint32_t *index)
{
    uint32_t hash = kind->hash(entry);
    uint32_t known = find_number(kind, list, set, entry, hash);
    if (known != 0) {
        *index = known - 1;
        return 0;
    }
    int rc = grow_set(arena, set, set->count + 1);
    if (rc == 0)
        rc = grow_list(arena, kind->bytes, list, list->count + 1);
    if (rc != 0)
        return rc;
    void *copy = item(kind, list, list->count);
    memcpy(copy, entry, kind->bytes);
    if (kind->adopt != NULL && (rc = kind->adopt(arena, copy)) != 0)
        return rc;
    *index = list->count++;
    put_slot(set, (struct oh_profile_slot){.number = list->count, .hash = hash});
    return 1;
}

static int intern_text(struct oh_profile *profile, const char *data, uint32_t length,
                       uint32_t *index)
{
    const struct oh_profile_string string = {data, length};
    struct list list = {profile->strings, profile->string_count, profile->string_room};
    int rc = intern(profile->arena, &string_kind, &list, &profile->string_set, &string, index);
    profile->strings = list.items;
    profile->string_count = list.count;
    profile->string_room = list.room;
    return rc < 0 ? rc : 0;
}

int oh_profile_init(struct oh_profile *profile, struct oh_arena *arena)
{
    uint32_t empty;
    memset(profile, 0, sizeof *profile);
    profile->arena = arena;
    profile->period = 1;
    return intern_text(profile, "", 0, &empty);
}

// Bytes of the UTF-8 character at data, 0 when there is no valid one (RFC 3629: no overlong forms,
// no surrogates, nothing above U+10FFFF).
static size_t utf8_length(const uint8_t *data, size_t length)
{
    uint8_t first = data[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t bytes = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || bytes > length)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < bytes; i++) {
        if (data[i] < low || data[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return bytes;
}

// How many bytes of plain ASCII the text begins with, eight at a time.
static size_t skip_ascii(const char *data, size_t length)
{
    uint64_t word = 0;
    size_t at = 0;
    for (; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return at;
}

static bool is_fit(const char *data, size_t length)
{
    if (length > OH_PROFILE_MAX_STRING)
        return false;
    for (size_t at = skip_ascii(data, length); at < length;) {
        size_t bytes = utf8_length((const uint8_t *)data + at, length - at);
        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

// Copies what fits of the text, with U+FFFD for each byte that is not part of a character.
static uint32_t repair(const char *data, size_t length, char *out)
{
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        size_t bytes = utf8_length((const uint8_t *)data + at, length - at);
        const char *from = bytes != 0 ? data + at : replacement;
        size_t put = bytes != 0 ? bytes : REPLACEMENT_BYTES;
        if (used + put > OH_PROFILE_MAX_STRING)
            break;
        memcpy(out + used, from, put);
        used += put;
        at += bytes != 0 ? bytes : 1;
    }
    return (uint32_t)used;
}

int oh_profile_intern_string(struct oh_profile *profile, const char *data, size_t length,
                             uint32_t *string)
{
    if (is_fit(data, length))
        return intern_text(profile, data, (uint32_t)length, string);
    size_t room =
        length < OH_PROFILE_MAX_STRING ? length * REPLACEMENT_BYTES : OH_PROFILE_MAX_STRING;
    char *fit = oh_arena_alloc(profile->arena,
                               room < OH_PROFILE_MAX_STRING ? room : OH_PROFILE_MAX_STRING, 1);
    if (fit == NULL)
        return -ENOMEM;
    return intern_text(profile, fit, repair(data, length, fit), string);
}

int oh_profile_intern_mapping(struct oh_profile *profile, const struct oh_profile_mapping *mapping,
                              uint32_t *index)
{
    struct list list = {profile->mappings, profile->mapping_count, profile->mapping_room};
    int rc = intern(profile->arena, &mapping_kind, &list, &profile->mapping_set, mapping, index);
    profile->mappings = list.items;
    profile->mapping_count = list.count;
    profile->mapping_room = list.room;
    return rc < 0 ? rc : 0;
}

int oh_profile_intern_function(struct oh_profile *profile,
                               const struct oh_profile_function *function, uint32_t *index)
{
    struct list list = {profile->functions, profile->function_count, profile->function_room};
    int rc = intern(profile->arena, &function_kind, &list, &profile->function_set, function, index);
    profile->functions = list.items;
    profile->function_count = list.count;
    profile->function_room = list.room;
    return rc < 0 ? rc : 0;
}

int oh_profile_intern_location(struct oh_profile *profile,
                               const struct oh_profile_location *location, uint32_t *index)
{
    struct list list = {profile->locations, profile->location_count, profile->location_room};
    int rc = intern(profile->arena, &location_kind, &list, &profile->location_set, location, index);
    profile->locations = list.items;
    profile->location_count = list.count;
    profile->location_room = list.room;
    return rc < 0 ? rc : 0;
}

static int expect(struct oh_arena *arena, const struct kind *kind, struct list *list,
                  struct oh_profile_set *set, uint32_t more)
{
    if (more > MAX_ENTRIES - list->count)
        return -EOVERFLOW;
    int rc = grow_set(arena, set, list->count + more);
    return rc != 0 ? rc : grow_list(arena, kind->bytes, list, list->count + more);
}

int oh_profile_expect(struct oh_profile *profile, uint32_t addresses)
{
    struct list locations = {profile->locations, profile->location_count, profile->location_room};
    struct list functions = {profile->functions, profile->function_count, profile->function_room};
    struct list strings = {profile->strings, profile->string_count, profile->string_room};
    int rc = expect(profile->arena, &location_kind, &locations, &profile->location_set, addresses);
    if (rc == 0)
        rc = expect(profile->arena, &function_kind, &functions, &profile->function_set, addresses);
    if (rc == 0)
        rc = expect(profile->arena, &string_kind, &strings, &profile->string_set, addresses);
    profile->locations = locations.items;
    profile->location_room = locations.room;
    profile->functions = functions.items;
    profile->function_room = functions.room;
    profile->strings = strings.items;
    profile->string_room = strings.room;
    return rc;
}

static int64_t add_saturating(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

int oh_profile_add_sample(struct oh_profile *profile, const struct oh_profile_sample *sample,
                          uint32_t *index)
{
    struct list list = {profile->samples, profile->sample_count, profile->sample_room};
    int rc = intern(profile->arena, &sample_kind, &list, &profile->sample_set, sample, index);
    profile->samples = list.items;
    profile->sample_count = list.count;
    profile->sample_room = list.room;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    struct oh_profile_sample *known = &profile->samples[*index];
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        known->values[i] = add_saturating(known->values[i], sample->values[i]);
        known->variances[i] += sample->variances[i];
    }
    for (int i = 0; i < OH_RESIDENCY_COUNT; i++)
        known->residency[i] += sample->residency[i];
    return 0;
}

void oh_profile_keep_samples(struct oh_profile *profile,
                             bool (*keep)(void *arg, const struct oh_profile_sample *sample),
                             void *arg)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        if (keep(arg, &profile->samples[i]))
            profile->samples[kept++] = profile->samples[i];
    }
    if (kept == profile->sample_count)
        return;
    profile->sample_count = kept;
    struct oh_profile_set *set = &profile->sample_set;
    memset(set->slots, 0, set->capacity * sizeof *set->slots);
    set->count = 0;
    for (uint32_t i = 0; i < kept; i++)
        put_slot(set, (struct oh_profile_slot){i + 1, hash_sample(&profile->samples[i])});
}

int oh_profile_add_comment(struct oh_profile *profile, const char *text, size_t length)
{
    uint32_t string;
    int rc = oh_profile_intern_string(profile, text, length, &string);
    if (rc != 0)
        return rc;
    struct list list = {profile->comments, profile->comment_count, profile->comment_room};
    rc = grow_list(profile->arena, sizeof string, &list, list.count + 1);
    profile->comments = list.items;
    profile->comment_room = list.room;
    if (rc == 0)
        profile->comments[profile->comment_count++] = string;
    return rc;
}

int64_t oh_profile_block_bytes(const struct oh_profile_sample *sample)
{
    int64_t objects = sample->values[OH_VALUE_ALLOC_OBJECTS];
    return objects > 0 ? sample->values[OH_VALUE_ALLOC_SPACE] / objects : 0;
}

// n objects of s bytes each, n s^2 (w - 1) the variance of their bytes.
int64_t oh_profile_mean(const struct oh_profile_sample *sample, enum oh_profile_value space,
                        enum oh_profile_value objects)
{
    double count = (double)sample->values[objects];
    double bytes = (double)sample->values[space];
    if (count <= 0 || bytes <= 0)
        return 0;
    double size = bytes / count;
    double mean = oh_logarithm_mean(size, 1 + sample->variances[space] / (bytes * size));
    const double largest = 0x1p62;
    return mean < 1 ? 1 : (int64_t)(mean < largest ? mean + 0.5 : largest);
}
