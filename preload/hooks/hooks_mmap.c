// SPDX-License-Identifier: Apache-2.0
//
// The symbols of the mmap family. Each makes the system call itself, never a function of libc, so
// these hooks need no dlsym, allocate nothing, and work before anything of this library is up; only
// the end of the data segment is libc's to keep (brk, sbrk). Value and errno are the real
// function's. What was mapped or unmapped is told to track/mapping: before the call what goes away,
// after it what comes.
//
// Lengths are counted in whole pages, as the system maps them. A reservation (private, anonymous,
// PROT_NONE) becomes memory where mprotect gives access to it, as it does where MAP_FIXED maps over
// it: by the stack of that call. Memory that loses its access stays what it is: its pages are still
// there. An mprotect that fails half-way may have given access to a first part, which the system
// does not tell: it changes nothing here. What grows downwards by itself (MAP_GROWSDOWN) is as long
// as it was mapped. mremap: hooks_mremap.
//
// A map with MAP_FIXED gives away what was in its place, so that is noted before the call, too; and
// when it fails in the file's own code the place may be empty nevertheless (track/unmapped).

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/attr.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "capture/registers_x86_64.h"
#include "hooks/map_call.h"
#include "track/mapping.h"
#include "track/unmapped.h"

enum {
    HUGE_PAGE_BITS = 21, // Where the flags name no size.
    HUGE_SHIFT = 26,     // Where they do.
    HUGE_MASK = 63,
    ZERO_MAJOR = 1, // /dev/zero.
    ZERO_MINOR = 5,
    SHM_PIECES = 8, // Of one attached segment,
    SHM_LOOKS = 24, // and with what lies between them.
};

static const uint64_t addresses_end = UINT64_C(1) << 47;

OH_EXPORT void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
OH_EXPORT void *mmap64(void *address, size_t length, int prot, int flags, int fd, off64_t offset);
OH_EXPORT int munmap(void *address, size_t length);
OH_EXPORT int mprotect(void *address, size_t length, int prot);
OH_EXPORT int pkey_mprotect(void *address, size_t length, int prot, int key);
OH_EXPORT int brk(void *address);
OH_EXPORT void *sbrk(intptr_t increment);
OH_EXPORT void *shmat(int id, const void *address, int flags);
OH_EXPORT int shmdt(const void *address);

// libc's record of where the data segment ends, and its sbrk under another name.
extern void *__curbrk __attribute__((weak));
extern void *__sbrk(intptr_t increment) __attribute__((weak));

// This library, as the linker knows it: libunwind in it calls mmap by name.
extern const char __ehdr_start[] OH_HIDDEN;
extern const char _end[] OH_HIDDEN;

static bool is_own(const struct oh_caller *caller)
{
    return caller->pc - (uint64_t)(uintptr_t)__ehdr_start <
           (uint64_t)(uintptr_t)_end - (uint64_t)(uintptr_t)__ehdr_start;
}

// --- mmap

// What the system makes of a call: the kind of memory, and the unit of its length.
struct sort {
    enum oh_stack_kind kind;
    uint64_t page_bytes;
};

static struct sort sort_of_memory(int prot, int flags)
{
    int bits = flags >> HUGE_SHIFT & HUGE_MASK;
    struct sort sort = {OH_KIND_SHM, OH_MAP_PAGE_BYTES};
    if ((flags & MAP_HUGETLB) != 0)
        sort.page_bytes = UINT64_C(1) << (bits != 0 ? bits : HUGE_PAGE_BITS);
    if ((flags & MAP_TYPE) == MAP_PRIVATE)
        sort.kind =
            (prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) != 0 ? OH_KIND_MMAP : OH_KIND_RESERVE;
    return sort;
}

// OH_KIND_SHM when the file lies in memory; /dev/zero is another name of anonymous memory. A process
// that has confined itself is not asked: any file is one. Not inlined, for its room on the stack.
static OH_NOINLINE struct sort sort_of_file(int prot, int flags, int fd)
{
    struct stat st;
    struct statfs fs;
    struct sort sort = {OH_KIND_FILE, OH_MAP_PAGE_BYTES};
    if (oh_sandbox_is_up() || oh_sys_fstat(fd, &st) < 0)
        return sort;
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(ZERO_MAJOR, ZERO_MINOR))
        return sort_of_memory(prot, flags & ~MAP_HUGETLB);
    if (oh_sys_fstatfs(fd, &fs) < 0)
        return sort;
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC)
        sort.kind = OH_KIND_SHM;
    if (fs.f_type == HUGETLBFS_MAGIC)
        sort.page_bytes = (uint64_t)fs.f_bsize;
    return sort;
}

// By a pointer: with arguments on the stack the compiler would realign the hook's stack in a way
// that hides where it was called (__builtin_dwarf_cfa).
struct map_call {
    void *address;
    size_t length;
    int prot, flags, fd;
    off_t offset;
};

static void add_map(const struct oh_caller *caller, const struct map_call *call, uint64_t begin)
{
    struct sort sort = (call->flags & MAP_ANONYMOUS) != 0
                           ? sort_of_memory(call->prot, call->flags)
                           : sort_of_file(call->prot, call->flags, call->fd);
    oh_mapping_add(caller, begin, begin + oh_map_round_up(call->length, sort.page_bytes),
                   sort.kind);
}

static bool replaces(const struct map_call *call)
{
    return (call->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED &&
           oh_map_number(call->address) % OH_MAP_PAGE_BYTES == 0;
}

static OH_NOINLINE void *map(const struct oh_caller *caller, const struct map_call *call)
{
    struct oh_mapping_removal removal = {{0, false}, 0};
    uint64_t begin = oh_map_number(call->address), end = begin + oh_map_pages(call->length);
    bool wanted = !is_own(caller) && oh_mapping_wanted();
    if (wanted && replaces(call))
        oh_mapping_begin_removal(&removal, begin, end);
    long at =
        oh_sys_mmap(call->address, call->length, call->prot, call->flags, call->fd, call->offset);
    if (wanted && oh_sys_failed(at) && replaces(call))
        oh_unmapped_settle(&removal, begin, end);
    else
        oh_mapping_end_removal(&removal, true);
    if (wanted && !oh_sys_failed(at))
        add_map(caller, call, (uint64_t)at);
    return oh_map_pointer(at);
}

OH_NOINLINE OH_REALIGN void *mmap(void *address, size_t length, int prot, int flags, int fd,
                                  off_t offset)
{
    const struct map_call call = {address, length, prot, flags, fd, offset};
    struct oh_caller caller;
    oh_caller_here(&caller);
    return map(&caller, &call);
}

OH_NOINLINE OH_REALIGN void *mmap64(void *address, size_t length, int prot, int flags, int fd,
                                    off64_t offset)
{
    const struct map_call call = {address, length, prot, flags, fd, offset};
    struct oh_caller caller;
    oh_caller_here(&caller);
    return map(&caller, &call);
}

// --- munmap, mprotect

OH_NOINLINE OH_REALIGN int munmap(void *address, size_t length)
{
    struct oh_mapping_removal removal;
    uint64_t begin = oh_map_number(address);
    // The system refuses these, and changes nothing.
    if (begin % OH_MAP_PAGE_BYTES != 0 || length == 0)
        return oh_map_status(oh_sys_munmap(address, length));
    oh_mapping_begin_removal(&removal, begin, begin + oh_map_pages(length));
    long result = oh_sys_munmap(address, length);
    oh_mapping_end_removal(&removal, result == 0);
    return oh_map_status(result);
}

static OH_NOINLINE void give_access(const struct oh_caller *caller, void *address, size_t length,
                                    int prot)
{
    uint64_t begin = oh_map_number(address);
    if (length != 0 && (prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) != 0)
        oh_mapping_commit(caller, begin, begin + oh_map_pages(length));
}

OH_NOINLINE OH_REALIGN int mprotect(void *address, size_t length, int prot)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    long result = oh_sys_mprotect(address, length, prot);
    if (result == 0)
        give_access(&caller, address, length, prot);
    return oh_map_status(result);
}

// Without a key it is mprotect, which older systems know, too.
OH_NOINLINE OH_REALIGN int pkey_mprotect(void *address, size_t length, int prot, int key)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    long result = key == -1 ? oh_sys_mprotect(address, length, prot)
                            : oh_sys_pkey_mprotect(address, length, prot, key);
    if (result == 0)
        give_access(&caller, address, length, prot);
    return oh_map_status(result);
}

// --- The data segment

// As libc's, whose record of the end must stay right: its malloc goes on from there.
OH_NOINLINE OH_REALIGN int brk(void *address)
{
    struct oh_caller caller;
    struct oh_mapping_removal removal = {{0, false}, 0};
    oh_caller_here(&caller);
    uint64_t before = &__curbrk != NULL ? oh_map_number(__curbrk) : 0;
    uint64_t wanted = oh_map_number(address);
    if (before == 0)
        before = (uint64_t)oh_sys_brk(NULL);
    if (wanted < before && wanted != 0) // 0 is a question.
        oh_mapping_begin_removal(&removal, wanted, before);
    uint64_t end = (uint64_t)oh_sys_brk(address);
    if (&__curbrk != NULL)
        __curbrk = (void *)(uintptr_t)end;
    oh_mapping_end_removal(&removal, end <= wanted);
    if (end < wanted)
        return oh_map_status(-ENOMEM);
    if (wanted > before)
        oh_mapping_add(&caller, before, wanted, OH_KIND_MMAP);
    return 0;
}

OH_NOINLINE OH_REALIGN void *sbrk(intptr_t increment)
{
    struct oh_caller caller;
    struct oh_mapping_removal removal = {{0, false}, 0};
    oh_caller_here(&caller);
    if (&__sbrk == NULL) // As musl's.
        return oh_map_pointer(increment == 0 ? oh_sys_brk(NULL) : -ENOMEM);
    if (increment < 0) {
        uint64_t end = oh_map_number(__sbrk(0));
        oh_mapping_begin_removal(&removal, end + (uint64_t)increment, end);
    }
    void *before = __sbrk(increment);
    bool succeeded = before != MAP_FAILED;
    oh_mapping_end_removal(&removal, succeeded);
    if (succeeded && increment > 0)
        oh_mapping_add(&caller, oh_map_number(before), oh_map_number(before) + (uint64_t)increment,
                       OH_KIND_MMAP);
    return before;
}

// --- System V's shared memory

// False: its length is not known.
static bool attached_bytes(int id, uint64_t *bytes)
{
    return !oh_sandbox_is_up() && oh_sys_shm_size(id, bytes) >= 0 && *bytes != 0;
}

OH_NOINLINE OH_REALIGN void *shmat(int id, const void *address, int flags)
{
    struct oh_caller caller;
    uint64_t bytes = 0;
    oh_caller_here(&caller);
    long at = oh_sys_shmat(id, address, flags);
    if (!oh_sys_failed(at) && oh_mapping_wanted()) {
        if (attached_bytes(id, &bytes))
            oh_mapping_add(&caller, (uint64_t)at, (uint64_t)at + oh_map_pages(bytes), OH_KIND_SHM);
        else
            oh_mapping_count_lost();
    }
    return oh_map_pointer(at);
}

// The pieces of the segment that was attached at the address, which may begin behind it: the system
// detaches what is left of it, wherever that lies. Nobody tells how long it was, so these are the
// next pieces of shared memory that one call attached.
static int begin_detaching(uint64_t at, struct oh_format_range pieces[SHM_PIECES],
                           struct oh_mapping_removal removals[SHM_PIECES])
{
    int count = 0;
    for (int i = 0; i < SHM_LOOKS && count < SHM_PIECES; i++) {
        struct oh_format_range *piece = &pieces[count];
        uint8_t kind = oh_mapping_find(at, piece);
        at = piece->end;
        if (kind == OH_KIND_SHM && (count == 0 || piece->call == pieces[0].call))
            oh_mapping_begin_removal(&removals[count++], piece->begin, piece->end);
        if (at == UINT64_MAX)
            break;
    }
    return count;
}

OH_NOINLINE OH_REALIGN int shmdt(const void *address)
{
    struct oh_mapping_removal removals[SHM_PIECES];
    struct oh_format_range pieces[SHM_PIECES];
    uint64_t at = oh_map_number(address);
    int count = begin_detaching(at, pieces, removals);
    bool found = false, can_tell = oh_unmapped_can_tell();
    long result = oh_sys_shmdt(address);
    for (int i = 0; i < count; i++) {
        bool gone =
            result == 0 && (can_tell ? oh_unmapped_everywhere(pieces[i].begin, pieces[i].end)
                                     : pieces[i].begin == at);
        oh_mapping_end_removal(&removals[i], gone);
        found |= gone;
    }
    // Shared memory of another sort may lie before what is left of the segment.
    if (result == 0 && !found)
        oh_unmapped_settle(&(struct oh_mapping_removal){{0, false}, 0}, at, addresses_end);
    return oh_map_status(result);
}
