// SPDX-License-Identifier: Apache-2.0
//
// See elf.h. Headers are copied out with memcpy, because nothing in a hostile file is aligned.

#include "profile/elf.h"

#include <errno.h>
#include <string.h>

static bool in_bounds(size_t len, uint64_t offset, uint64_t size)
{
    return offset <= len && size <= len - offset;
}

struct oh_elf_bytes oh_elf_at(const struct oh_elf *elf, uint64_t offset, uint64_t len)
{
    if (!in_bounds(elf->len, offset, len))
        return (struct oh_elf_bytes){0};
    return (struct oh_elf_bytes){.data = elf->base + offset, .len = (size_t)len};
}

// How many of count headers of this size, from offset on, lie inside the image.
static size_t whole_headers(size_t len, uint64_t offset, uint64_t size, uint64_t count)
{
    if (offset == 0 || offset > len)
        return 0;
    uint64_t room = (len - offset) / size;
    return (size_t)(count < room ? count : room);
}

// The text that starts at offset and ends inside these bytes, or NULL.
static const char *text_at(struct oh_elf_bytes bytes, uint64_t offset)
{
    if (bytes.data == NULL || offset >= bytes.len)
        return NULL;
    const uint8_t *text = bytes.data + offset;
    return memchr(text, 0, bytes.len - (size_t)offset) == NULL ? NULL : (const char *)text;
}

int oh_elf_identify(const void *base, size_t len, struct oh_elf_ident *ident)
{
    const uint8_t *bytes = base;
    const size_t type_at = offsetof(Elf64_Ehdr, e_type); // The same in both classes.
    if (base == NULL || len < type_at + 4 || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    size_t low = bytes[EI_DATA] == ELFDATA2MSB ? 1 : 0; // Where a half's low byte stands.
    size_t high = 1 - low;
    ident->class = bytes[EI_CLASS];
    ident->data = bytes[EI_DATA];
    ident->type = (uint16_t)(bytes[type_at + low] | bytes[type_at + high] << 8);
    ident->machine = (uint16_t)(bytes[type_at + 2 + low] | bytes[type_at + 2 + high] << 8);
    return 0;
}

int oh_elf_open(struct oh_elf *elf, const void *base, size_t len)
{
    struct oh_elf_ident ident;
    struct oh_elf n = {.base = base, .len = len};
    int rc = oh_elf_identify(base, len, &ident);
    if (rc != 0)
        return rc;
    if (len < sizeof n.header)
        return -ENOEXEC;
    memcpy(&n.header, base, sizeof n.header);
    if (ident.class != ELFCLASS64 || ident.data != ELFDATA2LSB ||
        (n.header.e_phnum != 0 && n.header.e_phentsize != sizeof(Elf64_Phdr)) ||
        (n.header.e_shnum != 0 && n.header.e_shentsize != sizeof(Elf64_Shdr)))
        return -ENOTSUP;
    n.segment_count = whole_headers(len, n.header.e_phoff, sizeof(Elf64_Phdr), n.header.e_phnum);
    n.section_count = whole_headers(len, n.header.e_shoff, sizeof(Elf64_Shdr), n.header.e_shnum);
    Elf64_Shdr names;
    if (oh_elf_section(&n, n.header.e_shstrndx, &names)) {
        struct oh_elf_bytes bytes = oh_elf_section_bytes(&n, &names);
        n.section_names = (const char *)bytes.data;
        n.section_names_len = bytes.len;
    }
    *elf = n;
    return 0;
}

bool oh_elf_segment(const struct oh_elf *elf, size_t i, Elf64_Phdr *segment)
{
    if (i >= elf->segment_count)
        return false;
    memcpy(segment, elf->base + elf->header.e_phoff + i * sizeof *segment, sizeof *segment);
    return true;
}

bool oh_elf_section(const struct oh_elf *elf, size_t i, Elf64_Shdr *section)
{
    if (i >= elf->section_count)
        return false;
    memcpy(section, elf->base + elf->header.e_shoff + i * sizeof *section, sizeof *section);
    return true;
}

bool oh_elf_find_section(const struct oh_elf *elf, const char *name, Elf64_Shdr *section)
{
    struct oh_elf_bytes names = {(const uint8_t *)elf->section_names, elf->section_names_len};
    Elf64_Shdr candidate;
    for (size_t i = 1; oh_elf_section(elf, i, &candidate); i++) {
        const char *text = text_at(names, candidate.sh_name);
        if (text != NULL && strcmp(text, name) == 0) {
            *section = candidate;
            return true;
        }
    }
    return false;
}

struct oh_elf_bytes oh_elf_section_bytes(const struct oh_elf *elf, const Elf64_Shdr *section)
{
    if (section->sh_type == SHT_NOBITS || section->sh_type == SHT_NULL)
        return (struct oh_elf_bytes){0};
    return oh_elf_at(elf, section->sh_offset, section->sh_size);
}

// The first segment of this type.
static bool find_segment(const struct oh_elf *elf, uint32_t type, Elf64_Phdr *segment)
{
    for (size_t i = 0; oh_elf_segment(elf, i, segment); i++) {
        if (segment->p_type == type)
            return true;
    }
    return false;
}

struct oh_elf_bytes oh_elf_at_address(const struct oh_elf *elf, uint64_t address)
{
    Elf64_Phdr segment;
    for (size_t i = 0; oh_elf_segment(elf, i, &segment); i++) {
        if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
            address - segment.p_vaddr >= segment.p_filesz)
            continue;
        struct oh_elf_bytes bytes = oh_elf_at(elf, segment.p_offset, segment.p_filesz);
        if (bytes.data == NULL)
            return bytes;
        size_t skipped = (size_t)(address - segment.p_vaddr);
        return (struct oh_elf_bytes){.data = bytes.data + skipped, .len = bytes.len - skipped};
    }
    return (struct oh_elf_bytes){0};
}

bool oh_elf_has_needed(const struct oh_elf *elf)
{
    Elf64_Phdr segment;
    if (!find_segment(elf, PT_DYNAMIC, &segment))
        return false;
    struct oh_elf_bytes table = oh_elf_at(elf, segment.p_offset, segment.p_filesz);
    Elf64_Dyn entry;
    for (size_t at = 0; table.len - at >= sizeof entry; at += sizeof entry) {
        memcpy(&entry, table.data + at, sizeof entry);
        if (entry.d_tag == DT_NULL || entry.d_tag == DT_NEEDED)
            return entry.d_tag == DT_NEEDED;
    }
    return false;
}

bool oh_elf_find_export(const struct oh_elf *elf, const char *name, uint64_t *address)
{
    Elf64_Shdr section;
    if (!oh_elf_find_section(elf, ".dynsym", &section))
        return false;
    struct oh_elf_bytes table = oh_elf_section_bytes(elf, &section);
    if (!oh_elf_find_section(elf, ".dynstr", &section))
        return false;
    struct oh_elf_bytes names = oh_elf_section_bytes(elf, &section);
    Elf64_Sym symbol;
    for (size_t at = 0; table.len - at >= sizeof symbol; at += sizeof symbol) {
        memcpy(&symbol, table.data + at, sizeof symbol);
        const char *text = text_at(names, symbol.st_name);
        if (symbol.st_shndx != SHN_UNDEF && text != NULL && strcmp(text, name) == 0) {
            *address = symbol.st_value;
            return true;
        }
    }
    return false;
}

const char *oh_elf_interpreter(const struct oh_elf *elf)
{
    Elf64_Phdr segment;
    if (!find_segment(elf, PT_INTERP, &segment))
        return NULL;
    return text_at(oh_elf_at(elf, segment.p_offset, segment.p_filesz), 0);
}

static size_t padded(size_t size, size_t align)
{
    return (size + align - 1) & ~(align - 1);
}

struct oh_elf_bytes oh_elf_find_note(struct oh_elf_bytes notes, size_t align, const char *owner,
                                     uint32_t type)
{
    const size_t owner_len = strlen(owner) + 1;
    const size_t step = align == 8 ? 8 : 4;
    Elf64_Nhdr note;
    while (notes.len >= sizeof note) {
        memcpy(&note, notes.data, sizeof note);
        size_t desc_at = padded(sizeof note + (size_t)note.n_namesz, step);
        if (!in_bounds(notes.len, desc_at, note.n_descsz))
            break;
        // Go counts the padding of its own name.
        size_t owner_pad = padded(owner_len, 4) - owner_len;
        if (note.n_type == type && note.n_namesz >= owner_len &&
            note.n_namesz - owner_len <= owner_pad &&
            memcmp(notes.data + sizeof note, owner, owner_len) == 0)
            return (struct oh_elf_bytes){.data = notes.data + desc_at, .len = note.n_descsz};
        size_t next = padded(desc_at + note.n_descsz, step);
        if (next > notes.len)
            break;
        notes.data += next;
        notes.len -= next;
    }
    return (struct oh_elf_bytes){0};
}

// In segments first; a separated debug file has usable notes in its sections only.
static struct oh_elf_bytes find_note(const struct oh_elf *elf, const char *owner, uint32_t type)
{
    struct oh_elf_bytes found = {0};
    Elf64_Phdr segment;
    for (size_t i = 0; found.data == NULL && oh_elf_segment(elf, i, &segment); i++) {
        if (segment.p_type == PT_NOTE)
            found = oh_elf_find_note(oh_elf_at(elf, segment.p_offset, segment.p_filesz),
                                     segment.p_align, owner, type);
    }
    Elf64_Shdr section;
    for (size_t i = 1; found.data == NULL && oh_elf_section(elf, i, &section); i++) {
        if (section.sh_type == SHT_NOTE)
            found = oh_elf_find_note(oh_elf_section_bytes(elf, &section), section.sh_addralign,
                                     owner, type);
    }
    return found;
}

size_t oh_elf_build_id(const struct oh_elf *elf, uint8_t id[OH_ELF_BUILD_ID_MAX])
{
    struct oh_elf_bytes note = find_note(elf, "GNU", NT_GNU_BUILD_ID);
    if (note.data == NULL || note.len == 0 || note.len > OH_ELF_BUILD_ID_MAX)
        return 0;
    memcpy(id, note.data, note.len);
    return note.len;
}

struct oh_elf_bytes oh_elf_go_build_id(const struct oh_elf *elf)
{
    const uint32_t go_build_id_type = 4;
    return find_note(elf, "Go", go_build_id_type);
}

const char *oh_elf_debug_link(const struct oh_elf *elf, uint32_t *crc)
{
    Elf64_Shdr section;
    if (!oh_elf_find_section(elf, ".gnu_debuglink", &section))
        return NULL;
    struct oh_elf_bytes bytes = oh_elf_section_bytes(elf, &section);
    const char *name = text_at(bytes, 0);
    if (name == NULL)
        return NULL;
    size_t crc_at = padded(strlen(name) + 1, sizeof *crc);
    if (!in_bounds(bytes.len, crc_at, sizeof *crc))
        return NULL;
    memcpy(crc, bytes.data + crc_at, sizeof *crc);
    return name;
}

bool oh_elf_has_dwarf(const struct oh_elf *elf)
{
    Elf64_Shdr section;
    return (oh_elf_find_section(elf, ".debug_info", &section) ||
            oh_elf_find_section(elf, ".zdebug_info", &section)) &&
           oh_elf_section_bytes(elf, &section).len != 0;
}
