// SPDX-License-Identifier: Apache-2.0
#include "tables/live.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "offheap/hash.h"
#include "recording/recording.h"
#include "tables/levels.h"

enum {
    PAGE_LINES = 64,
    PAGE_LINES_BITS = 6,
    PAGE_BITS = 12,
    AWAY_TRIES = 2, // While further levels can be opened.
    SMALL_LEVELS = 4,
    REGIONS_BITS = 15,
    REGIONS = 1 << REGIONS_BITS,
    AWAY_SHIFT = 32,
};

_Static_assert(OH_LIVE_LINE_BLOCKS * sizeof(struct oh_format_block) == OH_LEVELS_BUCKET_BYTES,
               "a bucket is a line");
_Static_assert(PAGE_LINES == 1 << PAGE_LINES_BITS &&
                   PAGE_LINES * OH_LEVELS_BUCKET_BYTES == 1 << PAGE_BITS,
               "the lines of a page of the table");
_Static_assert((int)OH_FORMAT_MAX_LEVELS <= (int)AWAY_SHIFT, "a level has a bit in each half");

static struct oh_levels levels OH_READ_MOSTLY;

// The levels in which a block of the region ever stood: at home in the lower half, away in the
// upper. Regions far apart share a word. Private to the process; a forked child does not record.
static uint64_t regions[REGIONS] __attribute__((aligned(64)));

void oh_live_init(void)
{
    oh_levels_init(&levels, OH_SECTION_LIVE);
}

static inline uint64_t *region_of(uint64_t address)
{
    const uint32_t odd = 0x9e3779b1u;
    uint64_t number = address >> OH_LIVE_REGION_BITS;
    uint32_t window = (uint32_t)(number >> REGIONS_BITS) * odd >> (32 - REGIONS_BITS);
    return &regions[((uint32_t)number ^ window) & (REGIONS - 1)];
}

// The newest of a set of levels that is not empty.
static inline uint32_t newest_of(uint32_t set)
{
    return 31 - (uint32_t)__builtin_clz(set);
}

static inline uint32_t without(uint32_t set, uint32_t number)
{
    return set & ~(UINT32_C(1) << number);
}

// What names the home line of an address in every level: the page of its region by a hash, and the
// line in that page, neighbours for neighbours. In which line a region begins is drawn by lot, too:
// else page-aligned blocks would have all of their homes in a few lines.
struct home {
    uint64_t region;
    uint64_t offset; // Of the line in the page, in bytes.
};

static inline struct home home_of(uint64_t address)
{
    uint64_t region = oh_hash_mix(address >> OH_LIVE_REGION_BITS);
    uint64_t line = (address >> (OH_LIVE_REGION_BITS - PAGE_LINES_BITS)) + region;
    return (struct home){region, line % PAGE_LINES * OH_LEVELS_BUCKET_BYTES};
}

// The hash of the next group away from home: of the first when it is given the address.
static inline uint64_t away_hash(uint64_t hash)
{
    return oh_hash_mix(hash + 1);
}

// A line of the level, in units of 2^-32. Different levels spread hashes differently, so that those
// that meet in a full place of one do not meet again in the next.
static inline uint64_t spread(uint32_t number, uint64_t hash)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    return (hash * (odd + 2 * (uint64_t)number) >> 32) * levels.level[number].buckets;
}

static inline uint8_t *home_page(uint32_t number, struct home home)
{
    uint64_t page = spread(number, home.region) >> (32 - PAGE_BITS + PAGE_LINES_BITS) &
                    ~((UINT64_C(1) << PAGE_BITS) - 1);
    return levels.level[number].bytes + page;
}

static inline struct oh_format_block *home_line(uint8_t *page, struct home home)
{
    return (struct oh_format_block *)(page + home.offset);
}

// The other line of the same 128 bytes.
static inline struct oh_format_block *beside(uint8_t *page, struct home home)
{
    return (struct oh_format_block *)(page + (home.offset ^ OH_LEVELS_BUCKET_BYTES));
}

static inline struct oh_format_block *line_at(uint32_t number, uint64_t line)
{
    return (struct oh_format_block *)(levels.level[number].bytes + line * OH_LEVELS_BUCKET_BYTES);
}

// The entry of the address in one line, with what was read of its place, or NULL.
static inline struct oh_format_block *find_in(struct oh_format_block *line, uint64_t key,
                                              uint64_t *place)
{
#pragma GCC unroll 4
    for (int i = 0; i < OH_LIVE_LINE_BLOCKS; i++) {
        *place = oh_load_acquire(&line[i].place);
        if (oh_block_is_at(*place, key))
            return &line[i];
    }
    return NULL;
}

// A free entry of the line made BUSY, and it is the caller's, or NULL.
static inline struct oh_format_block *claim_in(struct oh_format_block *line)
{
#pragma GCC unroll 4
    for (int i = 0; i < OH_LIVE_LINE_BLOCKS; i++) {
        uint64_t empty = OH_LIVE_EMPTY;
        if (oh_load_relaxed(&line[i].place) == OH_LIVE_EMPTY &&
            oh_cas_acq_rel(&line[i].place, &empty, OH_LIVE_BUSY))
            return &line[i];
    }
    return NULL;
}

static inline struct oh_format_block *find_home(struct home home, uint32_t set, uint64_t key,
                                                uint64_t *place)
{
    while (set != 0) {
        uint32_t number = newest_of(set);
        set = without(set, number);
        uint8_t *page = home_page(number, home);
        struct oh_format_block *entry = find_in(home_line(page, home), key, place);
        if (entry == NULL)
            entry = find_in(beside(page, home), key, place);
        if (entry != NULL)
            return entry;
    }
    return NULL;
}

static struct oh_format_block *find_in_group(uint32_t number, uint64_t hash, uint64_t key,
                                             uint64_t *place)
{
    uint64_t line = spread(number, hash) >> 32;
    for (uint64_t n = 0; n < OH_LIVE_GROUP; n++) {
        struct oh_format_block *entry = find_in(line_at(number, line ^ n), key, place);
        if (entry != NULL)
            return entry;
    }
    return NULL;
}

static OH_NOINLINE struct oh_format_block *find_away(uint64_t address, uint32_t levels_away,
                                                     uint64_t key, uint64_t *place)
{
    uint64_t hash = address;
    for (int try = 0; try < OH_LIVE_AWAY; try++) {
        hash = away_hash(hash);
        for (uint32_t set = levels_away; set != 0; set = without(set, newest_of(set))) {
            struct oh_format_block *entry = find_in_group(newest_of(set), hash, key, place);
            if (entry != NULL)
                return entry;
        }
    }
    return NULL;
}

static inline struct oh_format_block *find(uint64_t address, uint64_t *place)
{
    uint64_t key = oh_block_key(address);
    struct home home = home_of(address);
    uint64_t region = oh_load_relaxed(region_of(address));
    struct oh_format_block *entry = find_home(home, (uint32_t)region, key, place);
    if (entry != NULL)
        return entry;
    return find_away(address, (uint32_t)(region >> AWAY_SHIFT), key, place);
}

bool oh_live_take(uint64_t address, struct oh_block *block)
{
    uint64_t place;
    struct oh_format_block *entry = find(address, &place);
    if (entry == NULL)
        return false;
    struct oh_block found = oh_block_unpack(place, oh_load_relaxed(&entry->facts));
    if (!oh_cas_acq_rel(&entry->place, &place, OH_LIVE_EMPTY))
        return false;
    *block = found;
    return true;
}

bool oh_live_remove(uint64_t address, uint64_t *size)
{
    uint64_t place;
    struct oh_format_block *entry = find(address, &place);
    if (entry == NULL)
        return false;
    uint64_t facts = oh_load_relaxed(&entry->facts);
    if (!oh_cas_acq_rel(&entry->place, &place, OH_LIVE_EMPTY))
        return false;
    *size = oh_block_unpack(place, facts).size;
    return true;
}

// Where an entry was claimed, as its bit in the word of the region.
struct claimed {
    struct oh_format_block *entry;
    uint64_t bit;
};

// The entry of the address in one line, or NULL, with what was read of its place; *empty becomes
// the first free one, if there is one.
static inline struct oh_format_block *look_in(struct oh_format_block *line, uint64_t key,
                                              uint64_t *place, struct oh_format_block **empty)
{
#pragma GCC unroll 4
    for (int i = OH_LIVE_LINE_BLOCKS; i-- > 0;) {
        *place = oh_load_acquire(&line[i].place);
        if (oh_block_is_at(*place, key))
            return &line[i];
        if (*place == OH_LIVE_EMPTY)
            *empty = &line[i];
    }
    return NULL;
}

// One look at the home line of each of these levels: for a block whose free went unseen (its entry
// is taken over), and for a free entry, newest level first. A block that stands beside its home
// line or away after such a free stays: to look there on every insertion would cost too much.
static inline struct claimed claim_seen(struct home home, uint32_t set, uint64_t key,
                                        bool *replaced)
{
    struct claimed claimed = {NULL, 0};
    uint64_t place, empty = OH_LIVE_EMPTY;
    while (set != 0) {
        uint32_t number = newest_of(set);
        set = without(set, number);
        struct oh_format_block *line = home_line(home_page(number, home), home), *free = NULL;
        struct oh_format_block *old = look_in(line, key, &place, &free);
        if (old != NULL && oh_cas_acq_rel(&old->place, &place, OH_LIVE_BUSY)) {
            *replaced = true;
            return (struct claimed){old, UINT64_C(1) << number};
        }
        if (claimed.entry == NULL && free != NULL)
            claimed = (struct claimed){free, UINT64_C(1) << number};
    }
    if (claimed.entry != NULL && !oh_cas_acq_rel(&claimed.entry->place, &empty, OH_LIVE_BUSY))
        claimed = (struct claimed){NULL, 0};
    return claimed;
}

static inline struct claimed claim_home(struct home home, uint32_t count)
{
    for (uint32_t number = count; number-- > 0;) {
        uint8_t *page = home_page(number, home);
        struct oh_format_block *entry = claim_in(home_line(page, home));
        if (entry == NULL)
            entry = claim_in(beside(page, home));
        if (entry != NULL)
            return (struct claimed){entry, UINT64_C(1) << number};
    }
    return (struct claimed){NULL, 0};
}

static struct claimed claim_away(uint64_t address, uint32_t count, int tries)
{
    uint64_t hash = address;
    for (int try = 0; try < tries; try++) {
        hash = away_hash(hash);
        for (uint32_t number = count; number-- > 0;) {
            uint64_t line = spread(number, hash) >> 32;
            for (uint64_t n = 0; n < OH_LIVE_GROUP; n++) {
                struct oh_format_block *entry = claim_in(line_at(number, line ^ n));
                if (entry != NULL)
                    return (struct claimed){entry, UINT64_C(1) << (number + AWAY_SHIFT)};
            }
        }
    }
    return (struct claimed){NULL, 0};
}

// A table that is small and in the cache, or cannot grow, is worth a long search.
static inline int tries_with(uint32_t count)
{
    return count <= SMALL_LEVELS || count == levels.planned ? OH_LIVE_AWAY : AWAY_TRIES;
}

static OH_NOINLINE struct claimed claim_beyond(uint64_t address, struct home home, uint32_t count)
{
    bool no_room = false;
    for (;;) {
        struct claimed claimed = claim_away(address, count, tries_with(count));
        if (claimed.entry != NULL)
            return claimed;
        if (!oh_levels_open(&levels, count, &no_room))
            break;
        count = oh_levels_count(&levels);
        claimed = claim_home(home, count);
        if (claimed.entry != NULL)
            return claimed;
    }
    oh_recording_count(no_room ? OH_COUNTER_dropped_no_room : OH_COUNTER_dropped_live_full);
    return (struct claimed){NULL, 0};
}

struct oh_format_block *oh_live_claim(uint64_t address, bool *replaced)
{
    struct home home = home_of(address);
    uint64_t *region = region_of(address);
    uint64_t seen = oh_load_relaxed(region);
    uint32_t count = oh_levels_count(&levels);
    uint32_t set = (uint32_t)seen | UINT32_C(1) << (count - 1);
    *replaced = false;
    struct claimed claimed = claim_seen(home, set, oh_block_key(address), replaced);
    if (claimed.entry == NULL)
        claimed = claim_home(home, count);
    if (claimed.entry == NULL)
        claimed = claim_beyond(address, home, count);
    if ((seen & claimed.bit) != claimed.bit)
        oh_or_relaxed(region, claimed.bit);
    return claimed.entry;
}

void oh_live_publish(struct oh_format_block *entry, const struct oh_block *block)
{
    oh_store_relaxed(&entry->facts, oh_block_facts(block));
    oh_store_release(&entry->place, oh_block_place(block));
}
