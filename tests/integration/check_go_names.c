// SPDX-License-Identifier: Apache-2.0
//
// check_go_names PROGRAM <TRUTH: compares what pclntab reads from the program's file with what the
// program's own runtime says (see fixtures/go_names), and the functions that the recorder looks for
// with what a look at every function finds. Prints the first differences; the exit status is 0 when
// there are none.

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/go_runtime.h"
#include "profile/elf.h"
#include "profile/pclntab.h"

enum { LINE_BYTES = 1 << 16, SHOWN_MAX = 10, CHECKED_MIN = 1000 };

struct text {
    char bytes[LINE_BYTES];
    size_t len;
};

static bool open_file(struct oh_elf *elf, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return false;
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    return base != MAP_FAILED && oh_elf_open(elf, base, (size_t)st.st_size) == 0;
}

// From run-time addresses, as a recording has them, to the file's bytes.
static bool open_table(struct oh_pclntab *table, const struct oh_elf *elf, const char *line)
{
    uint64_t at[5];
    char *end = (char *)(uintptr_t)line + strlen("module");
    for (size_t i = 0; i < 5; i++)
        at[i] = strtoull(end, &end, 16);
    Elf64_Phdr first = {0}; // Go's own linker does not put it at 0.
    for (size_t i = 0; oh_elf_segment(elf, i, &first) && first.p_type != PT_LOAD; i++)
        ;
    uint64_t bias = elf->header.e_type == ET_DYN ? at[4] - first.p_vaddr : 0;
    struct oh_elf_bytes tab = oh_elf_at_address(elf, at[0] - bias);
    struct oh_elf_bytes mem = oh_elf_at_address(elf, at[3] - bias);
    const struct oh_pclntab_src src = {
        .tab = tab.data,
        .tab_len = tab.len,
        .text = at[1],
        .etext = at[2],
        .gofunc = at[3],
        .mem = mem.data,
        .mem_len = mem.len,
        .mem_address = at[3],
    };
    return oh_pclntab_open(table, &src) == 0;
}

static int append_frame(void *arg, const struct oh_go_frame *frame)
{
    struct text *text = arg;
    int len = snprintf(text->bytes + text->len, LINE_BYTES - text->len, "\t%s\t%s\t%u\t%u",
                       frame->name, frame->file, frame->line, frame->start_line);
    text->len += len > 0 ? (size_t)len : 0;
    return text->len >= LINE_BYTES;
}

// Go's expansion of a single address never leaves out the function itself; its tracebacks do, and
// so do we, when it is a wrapper.
static bool differs_by_wrapper(const struct oh_pclntab *table, uint64_t pc, const char *got,
                               const char *wanted)
{
    struct oh_go_func func;
    size_t len = strlen(got);
    return oh_pclntab_find_func(table, pc, &func) == 0 && func.is_wrapper &&
           strncmp(got, wanted, len) == 0 && wanted[len] == '\t' &&
           strncmp(wanted + len + 1, func.name, func.name_len) == 0 &&
           wanted[len + 1 + func.name_len] == '\t';
}

static bool check_line(const struct oh_pclntab *table, const char *line, struct text *got)
{
    char *wanted = NULL;
    uint64_t pc = strtoull(line + strlen("pc "), &wanted, 16) - 1;
    got->len = 0;
    got->bytes[0] = '\0';
    (void)oh_pclntab_frames(table, pc, append_frame, got);
    return strcmp(got->bytes, wanted) == 0 || differs_by_wrapper(table, pc, got->bytes, wanted);
}

// The first two functions of the name, by a look at each.
static void look_for(const struct oh_pclntab *table, const char *name, struct oh_go_range found[2])
{
    struct oh_go_func func;
    uint64_t pc = table->text;
    found[0] = found[1] = (struct oh_go_range){0};
    while (pc < table->etext && found[1].begin == 0) {
        if (oh_pclntab_find_func(table, pc, &func) != 0) {
            pc++; // Padding, or code that is not Go's.
            continue;
        }
        if (strcmp(func.name, name) == 0)
            found[found[0].begin != 0] = (struct oh_go_range){func.entry, func.end};
        pc = func.end;
    }
}

static bool check_found_names(const struct oh_pclntab *table)
{
    static const char *const names[] = {
#define NAME_OF(constant, name) name,
        OH_GO_FUNCTIONS(NAME_OF)
#undef NAME_OF
    };
    struct oh_go_range ranges[OH_GO_FUNCTION_COUNT][2];
    struct oh_go_range wanted[2];
    bool is_right = true;
    oh_pclntab_find_names(table, names, OH_GO_FUNCTION_COUNT, ranges);
    for (size_t i = 0; i < OH_GO_FUNCTION_COUNT; i++) {
        look_for(table, names[i], wanted);
        if (wanted[0].begin != 0 && memcmp(wanted, ranges[i], sizeof wanted) == 0)
            continue;
        is_right = false;
        (void)printf("%s: want %#lx and %#lx, got %#lx and %#lx\n", names[i],
                     (unsigned long)wanted[0].begin, (unsigned long)wanted[1].begin,
                     (unsigned long)ranges[i][0].begin, (unsigned long)ranges[i][1].begin);
    }
    return is_right;
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES];
    static struct text got;
    struct oh_elf elf;
    struct oh_pclntab table;
    unsigned long checked = 0;
    unsigned long wrong = 0;
    if (argc != 2 || !open_file(&elf, argv[1]) || fgets(line, sizeof line, stdin) == NULL ||
        !open_table(&table, &elf, line)) {
        (void)fputs("check_go_names: no program with a Go table\n", stderr);
        return 2;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        checked++;
        if (!check_line(&table, line, &got) && ++wrong <= SHOWN_MAX)
            (void)printf("want %s\ngot %s\n", line, got.bytes);
    }
    if (!check_found_names(&table))
        wrong++;
    (void)printf("%lu addresses, %lu differ\n", checked, wrong);
    return checked < CHECKED_MIN || wrong != 0;
}
