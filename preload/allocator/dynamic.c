// SPDX-License-Identifier: Apache-2.0
#include "allocator/dynamic.h"

#include <stddef.h>
#include <string.h>

// DT_GNU_HASH: these words, the Bloom filter, the buckets, and a chain of hashes per bucket, whose
// last has its lowest bit set.
struct gnu_hash {
    uint32_t buckets;
    uint32_t first; // Symbols before it are not in the chains.
    uint32_t bloom_words;
    uint32_t bloom_shift;
};

enum { WORD_BITS = 64 };

// The loader has made addresses of what the table holds; where that is read-only, it could not.
static uint64_t address_of(const struct link_map *map, uint64_t value)
{
    return value < map->l_addr ? map->l_addr + value : value;
}

bool oh_dynamic_open(struct oh_dynamic *dynamic, const struct link_map *map)
{
    memset(dynamic, 0, sizeof *dynamic);
    dynamic->base = map->l_addr;
    if (map->l_ld == NULL)
        return false;
    for (const Elf64_Dyn *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        uint64_t value = entry->d_un.d_val;
        switch (entry->d_tag) {
        case DT_SYMTAB: dynamic->symbols = (const Elf64_Sym *)address_of(map, value); break;
        case DT_STRTAB: dynamic->names = (const char *)address_of(map, value); break;
        case DT_GNU_HASH: dynamic->hash = (const uint32_t *)address_of(map, value); break;
        case DT_JMPREL: dynamic->slots = (const Elf64_Rela *)address_of(map, value); break;
        case DT_PLTRELSZ: dynamic->slot_count = value / sizeof(Elf64_Rela); break;
        default: break;
        }
    }
    return dynamic->symbols != NULL && dynamic->names != NULL && dynamic->hash != NULL;
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

static bool passes_filter(const struct gnu_hash *header, const uint64_t *bloom, uint32_t hash)
{
    uint64_t word = bloom[(hash / WORD_BITS) % header->bloom_words];
    return (word >> (hash % WORD_BITS) & word >> ((hash >> header->bloom_shift) % WORD_BITS) & 1) !=
           0;
}

static bool is_the_function(const struct oh_dynamic *dynamic, uint32_t index, const char *name)
{
    const Elf64_Sym *symbol = &dynamic->symbols[index];
    return symbol->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
           strcmp(dynamic->names + symbol->st_name, name) == 0;
}

bool oh_dynamic_find(const struct oh_dynamic *dynamic, const char *name, struct oh_elf_span *out)
{
    const struct gnu_hash *header = (const struct gnu_hash *)(const void *)dynamic->hash;
    const uint64_t *bloom = (const uint64_t *)(const void *)(header + 1);
    uint32_t hash = hash_of(name);
    if (header->buckets == 0 || header->bloom_words == 0 || !passes_filter(header, bloom, hash))
        return false;
    const uint32_t *buckets = (const uint32_t *)(const void *)(bloom + header->bloom_words);
    const uint32_t *chains = buckets + header->buckets;
    uint32_t index = buckets[hash % header->buckets];
    if (index < header->first)
        return false;
    for (;; index++) {
        uint32_t chained = chains[index - header->first];
        if ((chained | 1) == (hash | 1) && is_the_function(dynamic, index, name)) {
            out->begin = dynamic->base + dynamic->symbols[index].st_value;
            out->end = out->begin + dynamic->symbols[index].st_size;
            return true;
        }
        if ((chained & 1) != 0)
            return false;
    }
}

uint64_t oh_dynamic_first(const char *name)
{
    struct oh_dynamic dynamic;
    struct oh_elf_span span;
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next) {
        if (oh_dynamic_open(&dynamic, map) && oh_dynamic_find(&dynamic, name, &span))
            return span.begin;
    }
    return 0;
}

const char *oh_dynamic_slot(const struct oh_dynamic *dynamic, uint64_t slot)
{
    for (uint64_t i = 0; i < dynamic->slot_count && dynamic->slots != NULL; i++) {
        const Elf64_Rela *entry = &dynamic->slots[i];
        if (dynamic->base + entry->r_offset == slot)
            return dynamic->names + dynamic->symbols[ELF64_R_SYM(entry->r_info)].st_name;
    }
    return NULL;
}
