// SPDX-License-Identifier: Apache-2.0
//
// damage_recording edges FILE                    prints where the sections of a recording begin and end
// damage_recording version FILE MAJOR            writes another version into the file
// damage_recording flip FILE SEED COUNT          flips COUNT bits at places that SEED chooses: half of
//                                                them in the header, half in what the sections use
//
// The only part of the integration tests that knows the format, to damage it on purpose.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offheap/format.h"

enum { USED_BYTES_MAX = 65536 };

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static FILE *open_recording(const char *path, const char *mode, struct oh_format_header *header)
{
    FILE *const file = fopen(path, mode);
    if (file == NULL || fread(header, sizeof *header, 1, file) != 1)
        die(path);
    return file;
}

static void write_at(FILE *file, uint64_t offset, const void *bytes, size_t size)
{
    if (fseek(file, (long)offset, SEEK_SET) != 0 || fwrite(bytes, size, 1, file) != 1)
        die("write");
}

static int print_edges(const struct oh_format_header *header)
{
    for (uint32_t i = 0; i < header->section_count && i < OH_FORMAT_SECTIONS; i++) {
        const struct oh_format_section *const section = &header->sections[i];
        (void)printf("%" PRIu64 "\n%" PRIu64 "\n", section->offset,
                     section->offset + section->bytes);
        if (section->cursor != 0)
            (void)printf("%" PRIu64 "\n", section->offset + section->cursor);
    }
    return 0;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 32;
}

// A place that a reader looks at: the header, or the begin of a section.
static uint64_t choose_place(const struct oh_format_header *header, uint64_t *state)
{
    const uint64_t used_header = offsetof(struct oh_format_header, reserved);
    const struct oh_format_section *const section =
        &header->sections[next_random(state) % header->section_count];
    const uint64_t used =
        section->cursor != 0 && section->cursor < section->bytes ? section->cursor : section->bytes;
    if (next_random(state) % 2 == 0 || section->state != OH_SECTION_READY)
        return next_random(state) % used_header;
    return section->offset + next_random(state) % (used < USED_BYTES_MAX ? used : USED_BYTES_MAX);
}

static int flip(FILE *file, const struct oh_format_header *header, uint64_t seed, long count)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (long i = 0; i < count; i++) {
        const uint64_t place = choose_place(header, &state);
        unsigned char byte = 0;
        if (fseek(file, (long)place, SEEK_SET) != 0 || fread(&byte, 1, 1, file) != 1)
            continue;
        byte = (unsigned char)(byte ^ (1u << (next_random(&state) % 8)));
        write_at(file, place, &byte, 1);
    }
    return fclose(file) == 0 ? 0 : 2;
}

static int set_version(FILE *file, uint16_t major)
{
    write_at(file, offsetof(struct oh_format_header, major), &major, sizeof major);
    return fclose(file) == 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    struct oh_format_header header;
    if (argc == 3 && strcmp(argv[1], "edges") == 0) {
        (void)fclose(open_recording(argv[2], "rb", &header));
        return print_edges(&header);
    }
    if (argc == 4 && strcmp(argv[1], "version") == 0) {
        FILE *const file = open_recording(argv[2], "r+b", &header);
        return set_version(file, (uint16_t)strtoul(argv[3], NULL, 10));
    }
    if (argc == 5 && strcmp(argv[1], "flip") == 0) {
        FILE *const file = open_recording(argv[2], "r+b", &header);
        return flip(file, &header, strtoull(argv[3], NULL, 10), strtol(argv[4], NULL, 10));
    }
    (void)fputs("usage: damage_recording edges FILE | version FILE MAJOR | flip FILE SEED COUNT\n",
                stderr);
    return 2;
}
