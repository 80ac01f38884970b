// SPDX-License-Identifier: Apache-2.0
//
// relocate_list DIRECTORY FILE...: moves every function that the files export, as if they lay one
// behind the other, for a second disassembler to compare. In the directory:
//   was      the covered instructions, each function at a multiple of 128, filled up with int3
//   is       the moved ones likewise, without the landing that they begin with
//   list     "<number> moved|<refusal> <name>" of each function
// The functions are thought to lie where they stand in `was` plus WAS, and are moved to where they
// stand in `is` plus IS, so that what both refer to has the same address.
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "patch/decode.h"
#include "patch/redirect.h"
#include "profile/image.h"

enum { STRIDE = 128, LANDING_BYTES = 4, WAS = 0x40000000, IS = 0x60000000, BREAKPOINT = 0xcc };

static struct {
    FILE *was, *is, *list;
    uint64_t count;
} out;

// Up to where the function's instructions were moved: whole ones.
static size_t end_of_covered(const struct oh_function *function, uint32_t jump_at)
{
    size_t at = jump_at;
    bool ended = false;
    while (at < jump_at + OH_RELOCATE_JUMP_BYTES && !ended) {
        struct oh_instruction instruction;
        if (!oh_decode(function->code + at, function->size - at, 0, &instruction))
            break;
        at += instruction.length;
        ended = instruction.flow == OH_FLOW_JUMP || instruction.flow == OH_FLOW_END;
    }
    return at;
}

static void put(FILE *file, const uint8_t *code, size_t size)
{
    uint8_t slot[STRIDE];
    memset(slot, BREAKPOINT, sizeof slot);
    memcpy(slot, code, size);
    (void)fwrite(slot, 1, sizeof slot, file);
}

static void move_one(const uint8_t *code, size_t size, size_t room, const char *name)
{
    // The landing of `is` is left out, and stands before the slot.
    const uint64_t from = WAS + out.count * STRIDE, to = IS + out.count * STRIDE - LANDING_BYTES;
    struct oh_relocated moved;
    struct oh_function function = {code, from, size, room};
    enum oh_refusal refusal = oh_relocate(&function, to, &moved);
    if (refusal == OH_REFUSED_none && moved.jump_at != 0) { // Let the covered ones begin the slot.
        function.address = from - moved.jump_at;
        refusal = oh_relocate(&function, to, &moved);
    }
    (void)fprintf(out.list, "%llu %s %s\n", (unsigned long long)out.count,
                  refusal == OH_REFUSED_none ? "moved" : oh_refusal_text(refusal), name);
    if (refusal != OH_REFUSED_none)
        return;
    put(out.was, code + moved.jump_at, end_of_covered(&function, moved.jump_at) - moved.jump_at);
    put(out.is, moved.code + LANDING_BYTES, moved.code_bytes - LANDING_BYTES);
    out.count++;
}

static void move_all(const char *path)
{
    struct oh_image image;
    Elf64_Shdr section, names_section;
    Elf64_Sym symbol;
    if (oh_image_open(&image, path, NULL) != 0)
        return;
    if (oh_elf_find_section(&image.elf, ".dynsym", &section) &&
        oh_elf_section(&image.elf, section.sh_link, &names_section)) {
        struct oh_elf_bytes symbols = oh_elf_section_bytes(&image.elf, &section);
        struct oh_elf_bytes names = oh_elf_section_bytes(&image.elf, &names_section);
        for (size_t at = 0; at + sizeof symbol <= symbols.len; at += sizeof symbol) {
            memcpy(&symbol, symbols.data + at, sizeof symbol);
            struct oh_elf_bytes code = oh_elf_at_address(&image.elf, symbol.st_value);
            if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
                symbol.st_size != 0 && code.len >= symbol.st_size && symbol.st_name < names.len)
                move_one(code.data, symbol.st_size, symbol.st_size,
                         (const char *)names.data + symbol.st_name);
        }
    }
    oh_image_close(&image);
}

static FILE *open_in(const char *dir, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return fopen(path, "w");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    out.was = open_in(argv[1], "was");
    out.is = open_in(argv[1], "is");
    out.list = open_in(argv[1], "list");
    if (out.was == NULL || out.is == NULL || out.list == NULL)
        return 1;
    for (int i = 2; i < argc; i++)
        move_all(argv[i]);
    return fclose(out.was) != 0 || fclose(out.is) != 0 || fclose(out.list) != 0;
}
