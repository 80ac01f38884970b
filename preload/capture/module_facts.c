// SPDX-License-Identifier: Apache-2.0
#include "capture/module_facts.h"

#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/attr.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/readable.h"
#include "profile/elf.h"
#include "recording/recording.h"

enum { PATH_BYTES = 4096, PAGE_BYTES = 4096, GO_NOTE_BUILD_ID = 4, NOTE_MAX_BYTES = 1 << 16 };

struct headers {
    uint64_t bias;
    const Elf64_Phdr *segment;
    size_t count;
};

// The program headers lie behind the ELF header at the start of the mapping; those of an executable
// whose first page is not mapped are told by the kernel.
static bool find_headers(const struct dl_find_object *object, struct headers *headers)
{
    uint64_t start = (uint64_t)object->dlfo_map_start;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)start;
    headers->bias = object->dlfo_link_map->l_addr;
    if (oh_readable_range(start, sizeof *header) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
        header->e_phentsize == sizeof(Elf64_Phdr) &&
        oh_readable_range(start + header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr))) {
        headers->segment = (const Elf64_Phdr *)(start + header->e_phoff);
        headers->count = header->e_phnum;
        return true;
    }
    uint64_t told = getauxval(AT_PHDR);
    if (told < start || told >= (uint64_t)object->dlfo_map_end)
        return false;
    headers->segment = (const Elf64_Phdr *)told;
    headers->count = getauxval(AT_PHNUM);
    return true;
}

static void find_text(struct oh_format_module *facts, const struct headers *headers)
{
    const uint64_t mask = PAGE_BYTES - 1;
    for (size_t i = 0; i < headers->count; i++) {
        const Elf64_Phdr *segment = &headers->segment[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_X) == 0)
            continue;
        uint64_t begin = headers->bias + segment->p_vaddr;
        facts->text_start = begin & ~mask;
        facts->text_end = (begin + segment->p_memsz + mask) & ~mask;
        facts->text_offset = segment->p_offset & ~mask;
        return;
    }
}

// A note of the mapped image. Headers say where notes should be; a host may have taken them away.
static struct oh_elf_bytes find_note(const struct headers *headers, const char *owner,
                                     uint32_t type)
{
    struct oh_elf_bytes id = {NULL, 0};
    for (size_t i = 0; i < headers->count && id.data == NULL; i++) {
        const Elf64_Phdr *segment = &headers->segment[i];
        uint64_t begin = headers->bias + segment->p_vaddr;
        if (segment->p_type != PT_NOTE || segment->p_memsz > NOTE_MAX_BYTES ||
            !oh_readable_range(begin, segment->p_memsz))
            continue;
        struct oh_elf_bytes notes = {(const uint8_t *)begin, segment->p_memsz};
        id = oh_elf_find_note(notes, segment->p_align == 8 ? 8 : 4, owner, type);
    }
    return id;
}

static struct oh_elf_bytes find_go_note(const struct headers *headers)
{
    return find_note(headers, "Go", GO_NOTE_BUILD_ID);
}

static void find_build_id(struct oh_format_module *facts, const struct headers *headers)
{
    struct oh_elf_bytes id = find_note(headers, "GNU", NT_GNU_BUILD_ID);
    facts->build_id_kind = OH_ID_GNU;
    if (id.len == 0 || id.len > OH_FORMAT_BUILD_ID_BYTES) {
        id = find_go_note(headers);
        facts->build_id_kind = OH_ID_GO;
    }
    if (id.data == NULL || id.len == 0) {
        facts->build_id_kind = OH_ID_NONE;
        return;
    }
    size_t kept = id.len < OH_FORMAT_BUILD_ID_BYTES ? id.len : OH_FORMAT_BUILD_ID_BYTES;
    memcpy(facts->build_id, id.data + id.len - kept, kept);
    facts->build_id_bytes = (uint16_t)kept;
}

static OH_READS_FOREIGN bool is_go_mark(const unsigned char *at)
{
    static const unsigned char mark[] = {0xff, ' ', 'G', 'o', ' ', 'b', 'u',
                                         'i',  'l', 'd', 'i', 'n', 'f', ':'};
    for (size_t i = 0; i < sizeof mark; i++)
        if (at[i] != mark[i])
            return false;
    return true;
}

// Whether it is worth looking for Go's tables: a scan touches every page of a module's data, which
// a large C library should be spared. Go's linker leaves a note, or, when build ids were turned
// off, the mark of the build information in the first 64 KiB of a writable segment.
static bool looks_like_go(const struct headers *headers)
{
    enum { SEARCHED = 64 * 1024, STEP = 16 };
    if (find_go_note(headers).data != NULL)
        return true;
    for (size_t i = 0; i < headers->count; i++) {
        const Elf64_Phdr *segment = &headers->segment[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) == 0)
            continue;
        uint64_t begin = headers->bias + segment->p_vaddr;
        uint64_t bytes = segment->p_filesz < SEARCHED ? segment->p_filesz : SEARCHED;
        if (!oh_readable_range(begin, bytes))
            continue;
        uint64_t at = (begin + STEP - 1) & ~(uint64_t)(STEP - 1);
        for (uint64_t end = begin + bytes; at + STEP <= end; at += STEP)
            if (is_go_mark((const unsigned char *)at))
                return true;
    }
    return false;
}

static void find_file(struct oh_format_module *facts, const char *path)
{
    struct stat st;
    if (oh_sandbox_is_up() || oh_sys_stat(path, &st) < 0)
        return;
    facts->file_bytes = (uint64_t)st.st_size;
    facts->file_mtime_ns =
        (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_mtim.tv_nsec;
    facts->file_inode = st.st_ino;
    facts->file_device = st.st_dev;
}

static bool holds(const struct oh_format_module *facts, uint64_t address)
{
    return address >= facts->start && address < facts->end;
}

static void find_flags(struct oh_format_module *facts)
{
    uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
    if (holds(facts, getauxval(AT_ENTRY)))
        facts->flags |= OH_MODULE_MAIN;
    if (holds(facts, (uint64_t)(uintptr_t)&oh_module_facts_read))
        facts->flags |= OH_MODULE_SELF;
    if (vdso != 0 && holds(facts, vdso))
        facts->flags |= OH_MODULE_VDSO;
    if (getauxval(AT_BASE) != 0 && holds(facts, getauxval(AT_BASE)))
        facts->flags |= OH_MODULE_LOADER;
}

// The path where it stands somewhere already; NULL for a name relative to the working directory.
static const char *known_path(const struct oh_format_module *facts, const char *name)
{
    const struct oh_format_header *header = oh_recording_header();
    if ((facts->flags & OH_MODULE_VDSO) != 0)
        return "[vdso]";
    if ((facts->flags & OH_MODULE_MAIN) != 0)
        return header->exe.length != 0 ? oh_recording_at(header->exe.offset) : "";
    return name[0] == '/' ? name : NULL;
}

// A path may be as long as a page, and a thread's stack as short as four of them: this one does not
// lie there. NULL when there is no memory, or the system may not be asked.
static char *make_path(const char *name)
{
    if (oh_sandbox_is_up())
        return NULL;
    long page =
        oh_sys_mmap(NULL, PATH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (oh_sys_failed(page))
        return NULL;
    struct oh_text text;
    oh_text_init(&text, (char *)page, PATH_BYTES);
    long length = oh_sys_readlink("/proc/self/cwd", (char *)page, PATH_BYTES - 1);
    text.length = length > 0 ? (size_t)length : 0;
    oh_text_add(&text, "/");
    oh_text_add(&text, name);
    return (char *)page;
}

static void find_file_of(struct oh_format_module *facts, const char *name)
{
    const char *known = known_path(facts, name);
    if (known != NULL) {
        find_file(facts, known);
        return;
    }
    char *path = make_path(name);
    if (path == NULL)
        return;
    find_file(facts, path);
    (void)oh_sys_munmap(path, PATH_BYTES);
}

bool oh_module_facts_read(struct oh_format_module *facts, const struct dl_find_object *object,
                          struct oh_go_runtime *go)
{
    struct headers headers;
    memset(facts, 0, sizeof *facts);
    facts->base = object->dlfo_link_map->l_addr;
    facts->start = (uint64_t)object->dlfo_map_start;
    // The loader counts bytes, the kernel pages.
    facts->end = ((uint64_t)object->dlfo_map_end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    facts->text_start = facts->start;
    facts->text_end = facts->end;
    find_flags(facts);
    find_file_of(facts, object->dlfo_link_map->l_name);
    if (!find_headers(object, &headers))
        return false;
    find_text(facts, &headers);
    find_build_id(facts, &headers);
    if (!looks_like_go(&headers) ||
        oh_go_runtime_find(headers.bias, headers.segment, (unsigned)headers.count, go) < 0)
        return false;
    facts->flags |= OH_MODULE_GO;
    facts->go_text = go->text;
    facts->go_text_end = go->etext;
    facts->go_pclntab = go->pclntab;
    facts->go_gofunc = go->gofunc;
    facts->go_moduledata = go->moduledata;
    return true;
}

void oh_module_facts_name(struct oh_format_module *facts, const struct dl_find_object *object)
{
    const char *name = object->dlfo_link_map->l_name;
    if ((facts->flags & OH_MODULE_MAIN) != 0) {
        facts->path = oh_recording_header()->exe; // The same text, once.
        return;
    }
    const char *known = known_path(facts, name);
    if (known != NULL) {
        facts->path = oh_recording_add_text(known, strnlen(known, PATH_BYTES - 1));
        return;
    }
    char *path = make_path(name);
    if (path == NULL)
        return;
    facts->path = oh_recording_add_text(path, strlen(path));
    (void)oh_sys_munmap(path, PATH_BYTES);
}

bool oh_module_facts_same(const struct oh_format_module *a, const struct oh_format_module *b)
{
    if (a->base != b->base || a->start != b->start || a->end != b->end ||
        a->build_id_kind != b->build_id_kind || a->build_id_bytes != b->build_id_bytes)
        return false;
    if (a->build_id_kind != OH_ID_NONE)
        return memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
    return a->file_inode != 0 && a->file_inode == b->file_inode &&
           a->file_device == b->file_device && a->file_bytes == b->file_bytes &&
           a->file_mtime_ns == b->file_mtime_ns;
}
