// SPDX-License-Identifier: Apache-2.0
//
// See find.h. Every candidate is opened and compared with the module's identity before it is
// taken; places are tried from the most to the least likely, the --binary directories last.

#include "symbol/find.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#include "base/path.h"
#include "symbol/elf_file.h"
#include "symbol/index.h"

struct oh_find {
    struct oh_index index;
    char *root; // Without a slash at its end; NULL: none.
};

// What was learned of the module on the way.
struct search {
    const struct oh_find_module *module;
    struct oh_find_result *result;
    bool has_own_dwarf; // Of the binary that was taken.
    bool met_another;   // A different file is at the path.
    char *debug_link;   // The name in the binary's .gnu_debuglink.
    uint32_t debug_link_crc;
    bool no_memory;
};

static bool same_stat(const struct oh_find_module *module, const struct stat *st)
{
    uint64_t mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000U + (uint64_t)st->st_mtim.tv_nsec;
    return (module->size != 0 || module->mtime_ns != 0) &&
           (module->size == 0 || module->size == (uint64_t)st->st_size) &&
           (module->inode == 0 || module->inode == (uint64_t)st->st_ino) &&
           (module->mtime_ns == 0 || module->mtime_ns == mtime_ns);
}

static bool is_module(const struct oh_find_module *module, const struct oh_elf_file *file)
{
    if (module->build_id_len == 0)
        return same_stat(module, &file->st);
    return oh_elf_file_has_id(file, module->build_id, module->build_id_len);
}

static void set_text(struct search *search, char **text, const char *value)
{
    free(*text);
    *text = strdup(value);
    search->no_memory |= *text == NULL;
}

static void take_binary(struct search *search, const char *path, const struct oh_elf_file *file)
{
    uint32_t crc = 0;
    const char *link = oh_elf_debug_link(&file->elf, &crc);
    set_text(search, &search->result->binary, path);
    search->result->verdict = OH_FIND_OK;
    search->has_own_dwarf = oh_elf_has_dwarf(&file->elf);
    if (link != NULL && link[0] != '\0' && strchr(link, '/') == NULL) {
        set_text(search, &search->debug_link, link);
        search->debug_link_crc = crc;
    }
}

// A file that we may not read is still the recorded one when the kernel says so.
static bool try_unreadable(struct search *search, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    if (!same_stat(search->module, &st)) {
        search->met_another = true;
        return false;
    }
    set_text(search, &search->result->binary, path);
    search->result->verdict = OH_FIND_OK;
    return true;
}

static bool try_binary(struct search *search, const char *path)
{
    struct oh_elf_file file;
    int rc = oh_elf_file_open(&file, path);
    if (rc == -EACCES || rc == -EPERM)
        return try_unreadable(search, path);
    if (rc != 0) {
        search->met_another |= rc == -ENOEXEC || rc == -ENOTSUP;
        return false;
    }
    bool is_it = is_module(search->module, &file);
    if (is_it)
        take_binary(search, path, &file);
    else
        search->met_another = true;
    oh_elf_file_close(&file);
    return is_it;
}

// prefix (NULL: none) + path, tried as the binary.
static bool try_binary_below(struct search *search, const char *prefix, const char *path)
{
    char *whole = oh_str_printf("%s%s", prefix == NULL ? "" : prefix, path);
    search->no_memory |= whole == NULL;
    bool is_it = whole != NULL && try_binary(search, whole);
    free(whole);
    return is_it;
}

// Without a build id only a file of the same name, size and time will do; a copy has another inode.
static const char *find_indexed_binary(struct oh_find *find, const struct oh_find_module *module)
{
    if (module->build_id_len != 0)
        return oh_index_find_id(&find->index, module->build_id, module->build_id_len,
                                OH_INDEX_CODE);
    if (module->size == 0 || module->mtime_ns == 0)
        return NULL;
    return oh_index_find_stat(&find->index, oh_path_base(module->path), module->size,
                              module->mtime_ns);
}

static void find_binary(struct oh_find *find, struct search *search)
{
    const char *path = search->module->path;
    bool is_path = path[0] == '/' && path[1] != '/';
    if (is_path && find->root != NULL && try_binary_below(search, find->root, path))
        return;
    if (is_path && try_binary_below(search, NULL, path))
        return;
    const char *indexed = find_indexed_binary(find, search->module);
    struct oh_elf_file file;
    if (indexed != NULL && oh_elf_file_open(&file, indexed) == 0) {
        take_binary(search, indexed, &file);
        oh_elf_file_close(&file);
        return;
    }
    search->result->verdict = search->met_another ? OH_FIND_REPLACED : OH_FIND_MISSING;
}

// The debug link's CRC is what the file is known by where there is no build id.
static bool is_debug_file(const struct search *search, const struct oh_elf_file *file,
                          bool is_linked)
{
    const struct oh_find_module *module = search->module;
    uint8_t id[OH_ELF_BUILD_ID_MAX];
    if (!oh_elf_has_dwarf(&file->elf))
        return false;
    if (module->build_id_len != 0 &&
        oh_elf_file_has_id(file, module->build_id, module->build_id_len))
        return true;
    if (!is_linked || (module->build_id_len != 0 && oh_elf_build_id(&file->elf, id) != 0))
        return false;
    return crc32_z(0, file->base, file->len) == search->debug_link_crc;
}

// Takes the path into the result when it is the module's debug file; frees it otherwise.
static bool try_debug(struct search *search, char *path, bool is_linked)
{
    struct oh_elf_file file;
    bool is_it = false;
    search->no_memory |= path == NULL;
    if (path != NULL && oh_elf_file_open(&file, path) == 0) {
        is_it = is_debug_file(search, &file, is_linked);
        oh_elf_file_close(&file);
    }
    if (is_it)
        search->result->debug = path;
    else
        free(path);
    return is_it;
}

static bool try_debug_by_id(struct search *search, const char *root)
{
    const struct oh_find_module *module = search->module;
    char hex[2 * OH_ELF_BUILD_ID_MAX + 1];
    if (module->build_id_len < 2 || module->build_id_len > OH_ELF_BUILD_ID_MAX)
        return false;
    for (size_t i = 0; i < module->build_id_len; i++) {
        hex[2 * i] = "0123456789abcdef"[module->build_id[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[module->build_id[i] & 15];
    }
    hex[2 * module->build_id_len] = '\0';
    return try_debug(search,
                     oh_str_printf("%s/usr/lib/debug/.build-id/%.2s/%s.debug",
                                   root == NULL ? "" : root, hex, hex + 2),
                     false);
}

static bool try_debug_by_link(struct search *search, const char *root)
{
    if (search->debug_link == NULL)
        return false;
    const char *link = search->debug_link;
    char *beside = oh_path_dir(search->result->binary);
    char *original = oh_path_dir(search->module->path);
    search->no_memory |= beside == NULL || original == NULL;
    bool is_it =
        beside != NULL && original != NULL &&
        (try_debug(search, oh_str_printf("%s/%s", beside, link), true) ||
         try_debug(search, oh_str_printf("%s/.debug/%s", beside, link), true) ||
         try_debug(search,
                   oh_str_printf("%s/usr/lib/debug%s/%s", root == NULL ? "" : root, original, link),
                   true));
    free(beside);
    free(original);
    return is_it;
}

static void find_debug(struct oh_find *find, struct search *search)
{
    const struct oh_find_module *module = search->module;
    if (search->has_own_dwarf || (find->root != NULL && try_debug_by_id(search, find->root)) ||
        try_debug_by_id(search, NULL) ||
        (find->root != NULL && try_debug_by_link(search, find->root)) ||
        try_debug_by_link(search, NULL) || module->build_id_len == 0)
        return;
    const char *indexed =
        oh_index_find_id(&find->index, module->build_id, module->build_id_len, OH_INDEX_DWARF);
    if (indexed != NULL)
        set_text(search, &search->result->debug, indexed);
}

int oh_find_create(const char *const *dirs, size_t dir_count, const char *root,
                   struct oh_find **find, struct oh_err *err)
{
    struct oh_find *n = calloc(1, sizeof *n);
    if (n == NULL)
        return oh_err_no_memory(err);
    int rc = oh_index_init(&n->index, dirs, dir_count, err);
    if (rc == 0 && root != NULL) {
        n->root = strdup(root);
        rc = n->root == NULL ? oh_err_no_memory(err) : 0;
    }
    if (rc != 0) {
        oh_find_destroy(n);
        return rc;
    }
    *find = n;
    return 0;
}

void oh_find_destroy(struct oh_find *find)
{
    if (find == NULL)
        return;
    oh_index_fini(&find->index);
    free(find->root);
    free(find);
}

int oh_find_module(struct oh_find *find, const struct oh_find_module *module,
                   struct oh_find_result *result, struct oh_err *err)
{
    struct oh_find_result n = {.verdict = OH_FIND_MISSING};
    struct search search = {.module = module, .result = &n};
    find_binary(find, &search);
    find_debug(find, &search);
    free(search.debug_link);
    if (search.no_memory) {
        oh_find_result_fini(&n);
        return oh_err_no_memory(err);
    }
    *result = n;
    return 0;
}

void oh_find_result_fini(struct oh_find_result *result)
{
    free(result->binary);
    free(result->debug);
    *result = (struct oh_find_result){.verdict = OH_FIND_MISSING};
}
