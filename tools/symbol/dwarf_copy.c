// SPDX-License-Identifier: Apache-2.0
//
// See dwarf_copy.h.

#include "symbol/dwarf_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "symbol/dwarf_unit.h"

// Those that libbacktrace reads. .debug_info needs the abbreviations, and says which line programs
// are needed.
static const char *const names[] = {
    ".debug_abbrev", ".debug_info",     ".debug_line",   ".debug_line_str",    ".debug_str",
    ".debug_addr",   ".debug_rnglists", ".debug_ranges", ".debug_str_offsets",
};

enum {
    ABBREV = 0,
    INFO = 1,
    LINE = 2,
    COUNT = sizeof names / sizeof names[0],
    NAMES_BYTES = 256,
    SECTION_ALIGN = 64,
    ABBREV_MAX_BYTES = 256 << 20,
    WINDOW_BITS_BARE = -15, // zlib's way to ask for no header and no checksum,
    ZLIB_HEADER_BYTES = 2,  // before which that stands
    BUFFER_BYTES = 64 << 10,
    HEAD_BYTES = 4 << 10, // Of a unit: its root entry is shorter.
};

// A section of the original.
struct source {
    struct oh_elf_bytes bytes;
    uint64_t size; // When it is inflated.
    bool is_compressed;
};

struct copy {
    int fd;
    bool without_go;
    uint64_t end; // Of what is written.
    struct source sources[COUNT];
    Elf64_Shdr sections[COUNT + 2]; // None, these, and the one of the names.
    struct oh_elf_bytes abbrev;     // Inflated.
    uint64_t first_line;            // Before it no line program is needed.
};

typedef int take_fn(void *arg, const uint8_t *bytes, size_t len);

// The checksum is not looked at: it would be a tenth of the time, and readers of DWARF have to
// stand any bytes.
static int inflate_to(const struct source *source, take_fn *take, void *arg)
{
    uint8_t buffer[BUFFER_BYTES];
    z_stream stream = {0};
    uint64_t left = source->size;
    uint64_t unread = source->bytes.len;
    stream.next_in = (Bytef *)(uintptr_t)source->bytes.data;
    if (inflateInit2(&stream, WINDOW_BITS_BARE) != Z_OK)
        return -ENOMEM;
    int state = Z_OK;
    int rc = 0;
    while (state == Z_OK && rc == 0) {
        if (stream.avail_in == 0) {
            stream.avail_in = unread < INT32_MAX ? (unsigned)unread : (unsigned)INT32_MAX;
            unread -= stream.avail_in;
        }
        stream.next_out = buffer;
        stream.avail_out = sizeof buffer;
        state = inflate(&stream, Z_NO_FLUSH);
        size_t made = sizeof buffer - stream.avail_out;
        rc = made <= left ? take(arg, buffer, made) : -EINVAL;
        left -= made;
    }
    (void)inflateEnd(&stream);
    if (rc != 0)
        return rc;
    return state == Z_STREAM_END && left == 0 ? 0 : -EINVAL;
}

static int read_source(const struct source *source, take_fn *take, void *arg)
{
    return source->is_compressed ? inflate_to(source, take, arg)
                                 : take(arg, source->bytes.data, source->bytes.len);
}

static int put(int fd, const void *bytes, size_t len, uint64_t at)
{
    const uint8_t *from = bytes;
    while (len != 0) {
        ssize_t wrote = pwrite(fd, from, len, (off_t)at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? -errno : -EIO;
        from += wrote;
        at += (uint64_t)wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

// A section that is copied as it is, but for what lies before `first`.
struct plain {
    int fd;
    uint64_t begin; // In the copy.
    uint64_t at;    // In the section.
    uint64_t first;
};

static int take_plain(void *arg, const uint8_t *bytes, size_t len)
{
    struct plain *plain = arg;
    uint64_t end = plain->at + len;
    size_t skipped = plain->first <= plain->at ? 0
                     : plain->first >= end     ? len
                                               : (size_t)(plain->first - plain->at);
    int rc = put(plain->fd, bytes + skipped, len - skipped, plain->begin + plain->at + skipped);
    plain->at = end;
    return rc;
}

// .debug_info on its way: the first bytes of the unit that passes, until they say what it is.
struct units {
    struct copy *copy;
    uint64_t begin;    // In the copy.
    uint64_t at;       // Of what came so far.
    uint64_t unit;     // Where this unit begins,
    uint64_t unit_end; // and ends; the same while that is not known.
    size_t head_len;
    bool is_kept; // Of the bytes behind the head.
    uint8_t head[HEAD_BYTES];
};

static int end_head(struct units *units)
{
    struct oh_dwarf_unit unit;
    struct copy *copy = units->copy;
    size_t len = units->head_len;
    bool is_known = oh_dwarf_unit_read(units->head, len, copy->abbrev, &unit);
    size_t blank =
        is_known && unit.is_go && copy->without_go ? oh_dwarf_unit_blank(units->head, len) : 0;
    units->is_kept = blank == 0;
    if (units->is_kept && !is_known)
        copy->first_line = 0; // It may need any.
    else if (units->is_kept && unit.has_lines && unit.lines < copy->first_line)
        copy->first_line = unit.lines;
    return put(copy->fd, units->head, blank != 0 ? blank : len, units->begin + units->unit);
}

// Takes bytes of the unit's head, as many as are still wanted; *used of them.
static int take_head(struct units *units, const uint8_t *bytes, size_t len, size_t *used)
{
    bool has_length = units->unit_end > units->unit;
    uint64_t unit_bytes = units->unit_end - units->unit;
    size_t wanted = !has_length               ? OH_DWARF_UNIT_START_BYTES
                    : unit_bytes < HEAD_BYTES ? (size_t)unit_bytes
                                              : HEAD_BYTES;
    size_t missing = wanted - units->head_len;
    *used = len < missing ? len : missing;
    memcpy(units->head + units->head_len, bytes, *used);
    units->head_len += *used;
    if (units->head_len < wanted)
        return 0;
    if (has_length)
        return end_head(units);
    if (!oh_dwarf_unit_length(units->head, units->head_len, &unit_bytes) ||
        unit_bytes < OH_DWARF_UNIT_START_BYTES ||
        unit_bytes > units->copy->sources[INFO].size - units->unit)
        return -EINVAL;
    units->unit_end = units->unit + unit_bytes;
    return unit_bytes == units->head_len ? end_head(units) : 0;
}

static bool is_head_whole(const struct units *units)
{
    uint64_t unit_bytes = units->unit_end - units->unit;
    return unit_bytes != 0 &&
           units->head_len == (unit_bytes < HEAD_BYTES ? unit_bytes : HEAD_BYTES);
}

static int take_units(void *arg, const uint8_t *bytes, size_t len)
{
    struct units *units = arg;
    int rc = 0;
    while (len != 0 && rc == 0) {
        size_t used = 0;
        if (!is_head_whole(units)) {
            rc = take_head(units, bytes, len, &used);
        } else {
            uint64_t left = units->unit_end - units->at;
            used = len < left ? len : (size_t)left;
            if (units->is_kept)
                rc = put(units->copy->fd, bytes, used, units->begin + units->at);
        }
        bytes += used;
        len -= used;
        units->at += used;
        if (units->at == units->unit_end && is_head_whole(units)) {
            units->unit = units->at;
            units->head_len = 0;
        }
    }
    return rc;
}

static int copy_units(struct copy *copy, uint64_t begin)
{
    struct units *units = calloc(1, sizeof *units);
    if (units == NULL)
        return -ENOMEM;
    units->copy = copy;
    units->begin = begin;
    int rc = read_source(&copy->sources[INFO], take_units, units);
    if (rc == 0 && units->head_len != 0)
        rc = -EINVAL; // It ends inside of a unit.
    free(units);
    return rc;
}

struct abbrev_buffer {
    uint8_t *bytes;
    size_t len;
};

static int take_abbrev(void *arg, const uint8_t *bytes, size_t len)
{
    struct abbrev_buffer *buffer = arg;
    memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
    return 0;
}

static int read_abbrev(struct copy *copy)
{
    const struct source *source = &copy->sources[ABBREV];
    if (source->size == 0 || source->size > ABBREV_MAX_BYTES)
        return -EINVAL;
    struct abbrev_buffer buffer = {.bytes = malloc((size_t)source->size)};
    if (buffer.bytes == NULL)
        return -ENOMEM;
    copy->abbrev = (struct oh_elf_bytes){.data = buffer.bytes, .len = (size_t)source->size};
    return read_source(source, take_abbrev, &buffer);
}

static bool has_zlib_header(struct oh_elf_bytes bytes)
{
    const unsigned method_mask = 0x0f, deflated = 8, has_dictionary = 0x20;
    return bytes.len >= ZLIB_HEADER_BYTES && (bytes.data[0] & method_mask) == deflated &&
           (bytes.data[1] & has_dictionary) == 0 &&
           ((unsigned)bytes.data[0] << 8 | bytes.data[1]) % 31 == 0;
}

static int find_source(const struct oh_elf *elf, const char *name, struct source *source)
{
    Elf64_Shdr section;
    Elf64_Chdr header;
    *source = (struct source){0};
    if (!oh_elf_find_section(elf, name, &section))
        return 0;
    source->bytes = oh_elf_section_bytes(elf, &section);
    source->size = source->bytes.len;
    source->is_compressed = (section.sh_flags & SHF_COMPRESSED) != 0;
    if (!source->is_compressed)
        return 0;
    if (source->bytes.len < sizeof header)
        return -EINVAL;
    memcpy(&header, source->bytes.data, sizeof header);
    source->bytes.data += sizeof header;
    source->bytes.len -= sizeof header;
    source->size = header.ch_size;
    if (header.ch_type != ELFCOMPRESS_ZLIB || header.ch_size > INT64_MAX / COUNT ||
        !has_zlib_header(source->bytes))
        return -ENOTSUP;
    source->bytes.data += ZLIB_HEADER_BYTES;
    source->bytes.len -= ZLIB_HEADER_BYTES;
    return 0;
}

static bool begins_with_go(const struct copy *copy)
{
    const struct source *info = &copy->sources[INFO];
    struct oh_dwarf_unit unit;
    return copy->without_go && !info->is_compressed &&
           oh_dwarf_unit_read(info->bytes.data,
                              info->bytes.len < HEAD_BYTES ? info->bytes.len : HEAD_BYTES,
                              copy->sources[ABBREV].bytes, &unit) &&
           unit.is_go;
}

// What refers to a third file is left to libbacktrace, as is what is small as it is.
static int find_sources(struct copy *copy, const struct oh_elf *elf)
{
    Elf64_Shdr section;
    int rc = oh_elf_find_section(elf, ".gnu_debugaltlink", &section) ? -ENOTSUP : 0;
    for (size_t i = 0; i < COUNT && rc == 0; i++)
        rc = find_source(elf, names[i], &copy->sources[i]);
    if (rc == 0 && (copy->sources[INFO].size == 0 ||
                    (!copy->sources[INFO].is_compressed && !begins_with_go(copy))))
        rc = -ENOTSUP;
    return rc;
}

static int copy_section(struct copy *copy, size_t i)
{
    const struct source *source = &copy->sources[i];
    struct plain plain = {.fd = copy->fd, .begin = copy->end};
    copy->sections[i + 1] = (Elf64_Shdr){.sh_type = SHT_PROGBITS,
                                         .sh_offset = copy->end,
                                         .sh_size = source->size,
                                         .sh_addralign = 1};
    copy->end += (source->size + SECTION_ALIGN - 1) & ~(uint64_t)(SECTION_ALIGN - 1);
    if (i == LINE)
        plain.first = copy->first_line;
    return i == INFO ? copy_units(copy, plain.begin) : read_source(source, take_plain, &plain);
}

static int write_headers(struct copy *copy)
{
    char text[NAMES_BYTES] = "";
    size_t used = 1;
    for (size_t i = 0; i < COUNT; i++) {
        copy->sections[i + 1].sh_name = (uint32_t)used;
        memcpy(text + used, names[i], strlen(names[i]) + 1);
        used += strlen(names[i]) + 1;
    }
    copy->sections[COUNT + 1] = (Elf64_Shdr){.sh_name = 0,
                                             .sh_type = SHT_STRTAB,
                                             .sh_offset = copy->end,
                                             .sh_size = used,
                                             .sh_addralign = 1};
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_shoff = copy->end + NAMES_BYTES,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = COUNT + 2,
        .e_shstrndx = COUNT + 1,
    };
    int rc = put(copy->fd, text, sizeof text, copy->end);
    if (rc == 0)
        rc = put(copy->fd, copy->sections, sizeof copy->sections, header.e_shoff);
    return rc != 0 ? rc : put(copy->fd, &header, sizeof header, 0);
}

int oh_dwarf_copy(const struct oh_elf *elf, bool without_go, int *fd)
{
    struct copy copy = {
        .fd = -1, .without_go = without_go, .end = SECTION_ALIGN, .first_line = UINT64_MAX};
    int rc = find_sources(&copy, elf);
    if (rc == 0)
        rc = read_abbrev(&copy);
    if (rc == 0) {
        copy.fd = memfd_create("offheap-dwarf", MFD_CLOEXEC);
        rc = copy.fd < 0 ? -errno : 0;
    }
    for (size_t i = 0; i < COUNT && rc == 0; i++)
        rc = copy_section(&copy, i);
    if (rc == 0)
        rc = write_headers(&copy);
    free((void *)(uintptr_t)copy.abbrev.data);
    if (rc == 0)
        *fd = copy.fd;
    else if (copy.fd >= 0)
        (void)close(copy.fd);
    return rc;
}
