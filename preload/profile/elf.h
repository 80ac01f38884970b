// SPDX-License-Identifier: Apache-2.0
//
// A checked, read-only view of an ELF64 little-endian file image that somebody else holds in
// memory (a mapped file). The bytes are not trusted: every read is bounds-checked, and whatever is
// out of bounds is as if it were absent. Owns no memory, makes no system call, calls nothing but
// mem*/str* functions; so it runs in a host process at its end and in the command alike, from any
// thread. The image must outlive the view and all strings taken from it.
//
// Elsewhere: DWARF (tools/symbol/csym), Go's tables (pclntab), which file to open (the callers).

#ifndef OH_PROFILE_ELF_H
#define OH_PROFILE_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/arena.h"

#define OH_ELF_BUILD_ID_MAX 64

// What any ELF file says of itself, also one of another class or machine.
struct oh_elf_ident {
    uint8_t class;    // ELFCLASS32 or ELFCLASS64
    uint8_t data;     // ELFDATA2LSB or ELFDATA2MSB
    uint16_t type;    // ET_EXEC, ET_DYN, ...
    uint16_t machine; // EM_X86_64, ...
};

struct oh_elf {
    const uint8_t *base;
    size_t len;
    Elf64_Ehdr header;
    size_t segment_count;      // Program headers that lie inside the image.
    size_t section_count;      // Section headers that lie inside the image.
    const char *section_names; // NULL when there are none.
    size_t section_names_len;
};

// A piece of the image, already checked; data is NULL when there is none.
struct oh_elf_bytes {
    const uint8_t *data;
    size_t len;
};

struct oh_elf_symbol {
    const char *name; // Not NUL-terminated at name_len when a version was cut off.
    size_t name_len;
    uint64_t begin; // ELF addresses: without load base.
    uint64_t end;
};

// An index over the function symbols of .symtab, else of .dynsym, sorted by address.
struct oh_elf_symbol_slot;
struct oh_elf_symbols {
    const struct oh_elf *elf;
    const struct oh_elf_symbol_slot *slots;
    size_t count;
    struct oh_elf_bytes names;
};

// 0, or -ENOEXEC when the bytes are not an ELF file.
int oh_elf_identify(const void *base, size_t len, struct oh_elf_ident *ident);

// 0; -ENOEXEC: not an ELF file; -ENOTSUP: not 64-bit little-endian, or a foreign header layout.
// A file that is cut short opens: what is missing is absent.
int oh_elf_open(struct oh_elf *elf, const void *base, size_t len);

// The bytes [offset, offset + len) of the image; data is NULL when they are not all there.
struct oh_elf_bytes oh_elf_at(const struct oh_elf *elf, uint64_t offset, uint64_t len);

bool oh_elf_segment(const struct oh_elf *elf, size_t i, Elf64_Phdr *segment);
bool oh_elf_section(const struct oh_elf *elf, size_t i, Elf64_Shdr *section);
bool oh_elf_find_section(const struct oh_elf *elf, const char *name, Elf64_Shdr *section);
// The section's bytes; none for SHT_NOBITS (a section left behind in a separated debug file).
struct oh_elf_bytes oh_elf_section_bytes(const struct oh_elf *elf, const Elf64_Shdr *section);

// From the byte at the ELF address (no load base) to the end of its segment's file bytes.
struct oh_elf_bytes oh_elf_at_address(const struct oh_elf *elf, uint64_t address);

bool oh_elf_has_needed(const struct oh_elf *elf); // Has at least one DT_NEEDED.
// The loader's path (PT_INTERP); NULL for a static file and for most libraries.
const char *oh_elf_interpreter(const struct oh_elf *elf);
// The GNU build id: its length, 0 when there is none.
size_t oh_elf_build_id(const struct oh_elf *elf, uint8_t id[OH_ELF_BUILD_ID_MAX]);
// Go's build id, a text without NUL at its end; data is NULL when there is none.
struct oh_elf_bytes oh_elf_go_build_id(const struct oh_elf *elf);
// The name and the CRC of the separated debug file.
const char *oh_elf_debug_link(const struct oh_elf *elf, uint32_t *crc);
bool oh_elf_has_dwarf(const struct oh_elf *elf); // .debug_info with bytes, compressed or not.
// The ELF address of what the file exports under this name; false: it exports no such thing.
bool oh_elf_find_export(const struct oh_elf *elf, const char *name, uint64_t *address);

// The descriptor of the first note of this owner and type in a block of notes (align 4 or 8).
struct oh_elf_bytes oh_elf_find_note(struct oh_elf_bytes notes, size_t align, const char *owner,
                                     uint32_t type);

// ELF addresses from begin to before end.
struct oh_elf_span {
    uint64_t begin;
    uint64_t end;
};

// Builds the index, without the symbols that begin in the span: where another table names the code
// (Go's, of which there may be hundreds of thousands), its symbols need be neither sorted nor kept.
// 0; -ENOENT: no function symbols; -ENOMEM: the arena is full.
int oh_elf_symbols_open(struct oh_elf_symbols *symbols, const struct oh_elf *elf,
                        struct oh_elf_span without, struct oh_arena *arena);

// The function that covers the address. Of several the narrowest start wins, then the plainest
// name (fewest leading underscores, global before weak before local). A symbol without a size
// (hand-written assembly) reaches to the next symbol or to the end of its section.
bool oh_elf_symbols_find(const struct oh_elf_symbols *symbols, uint64_t address,
                         struct oh_elf_symbol *found);

#endif
