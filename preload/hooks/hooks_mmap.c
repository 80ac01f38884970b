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
// there. An mremap that moves or grows a range is a new allocation of all of it, as with realloc;
// the part of a shrunk one that is left keeps its stack.

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/attr.h"
#include "base/sys.h"
#include "capture/registers_x86_64.h"
#include "track/mapping.h"

enum {
    PAGE_BYTES = 4096,
    HUGE_PAGE_BITS = 21, // Where the flags name no size.
    HUGE_SHIFT = 26,     // Where they do.
    HUGE_MASK = 63,
    ZERO_MAJOR = 1, // /dev/zero.
    ZERO_MINOR = 5,
    SHM_PIECES = 8, // Of one attached segment.
};

OH_EXPORT void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
OH_EXPORT void *mmap64(void *address, size_t length, int prot, int flags, int fd, off64_t offset);
OH_EXPORT int munmap(void *address, size_t length);
OH_EXPORT void *mremap(void *address, size_t old_length, size_t length, int flags, ...);
OH_EXPORT int mprotect(void *address, size_t length, int prot);
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

static uint64_t number_of(const void *address)
{
    return (uint64_t)(uintptr_t)address;
}

static uint64_t round_up(uint64_t length, uint64_t unit)
{
    return (length + unit - 1) & ~(unit - 1);
}

// What a failed or succeeded call returns.
static void *pointer_of(long result)
{
    if (!oh_sys_failed(result))
        return (void *)result;
    errno = (int)-result;
    return MAP_FAILED;
}

static int status_of(long result)
{
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

// --- mmap

// Of a descriptor: OH_KIND_FILE, OH_KIND_SHM when the file lies in memory, OH_KIND_MMAP for
// /dev/zero, which is another name of anonymous memory.
static enum oh_stack_kind kind_of_file(int fd)
{
    struct stat st;
    if (oh_sys_fstat(fd, &st) < 0)
        return OH_KIND_FILE;
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(ZERO_MAJOR, ZERO_MINOR))
        return OH_KIND_MMAP;
    long type = oh_sys_fstatfs_type(fd);
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC ? OH_KIND_SHM
                                                                                 : OH_KIND_FILE;
}

static enum oh_stack_kind kind_of(int prot, int flags, int fd)
{
    enum oh_stack_kind kind = (flags & MAP_ANONYMOUS) != 0 ? OH_KIND_MMAP : kind_of_file(fd);
    if (kind != OH_KIND_MMAP)
        return kind;
    if ((flags & MAP_TYPE) != MAP_PRIVATE)
        return OH_KIND_SHM;
    return (prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) != 0 ? OH_KIND_MMAP : OH_KIND_RESERVE;
}

static uint64_t page_of(int flags)
{
    int bits = flags >> HUGE_SHIFT & HUGE_MASK;
    if ((flags & MAP_HUGETLB) == 0)
        return PAGE_BYTES;
    return UINT64_C(1) << (bits != 0 ? bits : HUGE_PAGE_BITS);
}

// By a pointer: with arguments on the stack the compiler would realign the hook's stack in a way
// that hides where it was called (__builtin_dwarf_cfa).
struct map_call {
    void *address;
    size_t length;
    int prot, flags, fd;
    off_t offset;
};

static OH_NOINLINE void *map(const struct oh_caller *caller, const struct map_call *call)
{
    long at =
        oh_sys_mmap(call->address, call->length, call->prot, call->flags, call->fd, call->offset);
    if (!oh_sys_failed(at) && !is_own(caller) && oh_mapping_wanted()) {
        uint64_t begin = (uint64_t)at;
        oh_mapping_add(caller, begin, begin + round_up(call->length, page_of(call->flags)),
                       kind_of(call->prot, call->flags, call->fd));
    }
    return pointer_of(at);
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
    uint64_t begin = number_of(address);
    // The system refuses these, and changes nothing.
    if (begin % PAGE_BYTES != 0 || length == 0)
        return status_of(oh_sys_munmap(address, length));
    oh_mapping_begin_removal(&removal, begin, begin + round_up(length, PAGE_BYTES));
    long result = oh_sys_munmap(address, length);
    oh_mapping_end_removal(&removal, result == 0);
    return status_of(result);
}

OH_NOINLINE OH_REALIGN int mprotect(void *address, size_t length, int prot)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    uint64_t begin = number_of(address);
    long result = oh_sys_mprotect(address, length, prot);
    if (result == 0 && length != 0 && (prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) != 0)
        oh_mapping_commit(&caller, begin, begin + round_up(length, PAGE_BYTES));
    return status_of(result);
}

// --- mremap

static void *shrink(void *address, size_t old_length, size_t length, int flags)
{
    struct oh_mapping_removal removal;
    uint64_t begin = number_of(address);
    oh_mapping_begin_removal(&removal, begin + round_up(length, PAGE_BYTES),
                             begin + round_up(old_length, PAGE_BYTES));
    long at = oh_sys_mremap(address, old_length, length, flags, NULL);
    oh_mapping_end_removal(&removal, !oh_sys_failed(at));
    return pointer_of(at);
}

// What is at the place of old is there anew, at its new one.
static void *move(const struct oh_caller *caller, void *address, size_t old_length, size_t length,
                  int flags, void *to)
{
    struct oh_mapping_removal removal = {{0, false}, 0};
    struct oh_format_range piece;
    uint64_t begin = number_of(address);
    uint8_t kind = oh_mapping_find(begin, &piece);
    // A length of 0 asks for a second place of something shared.
    if (kind == 0)
        kind = old_length == 0 ? OH_KIND_SHM : OH_KIND_MMAP;
    if (old_length != 0 && (flags & MREMAP_DONTUNMAP) == 0)
        oh_mapping_begin_removal(&removal, begin, begin + round_up(old_length, PAGE_BYTES));
    long at = oh_sys_mremap(address, old_length, length, flags, to);
    oh_mapping_end_removal(&removal, !oh_sys_failed(at));
    if (!oh_sys_failed(at))
        oh_mapping_add(caller, (uint64_t)at, (uint64_t)at + round_up(length, PAGE_BYTES),
                       (enum oh_stack_kind)kind);
    return pointer_of(at);
}

OH_NOINLINE OH_REALIGN void *mremap(void *address, size_t old_length, size_t length, int flags, ...)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    void *to = NULL;
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        to = va_arg(arguments, void *);
        va_end(arguments);
        return move(&caller, address, old_length, length, flags, to);
    }
    uint64_t pages = round_up(length, PAGE_BYTES), old_pages = round_up(old_length, PAGE_BYTES);
    if (pages == 0 || old_length == 0 || pages > old_pages)
        return move(&caller, address, old_length, length, flags, to);
    if (pages < old_pages)
        return shrink(address, old_length, length, flags);
    return pointer_of(oh_sys_mremap(address, old_length, length, flags, to));
}

// --- The data segment

// As libc's, whose record of the end must stay right: its malloc goes on from there.
OH_NOINLINE OH_REALIGN int brk(void *address)
{
    struct oh_caller caller;
    struct oh_mapping_removal removal = {{0, false}, 0};
    oh_caller_here(&caller);
    uint64_t before = &__curbrk != NULL ? number_of(__curbrk) : 0;
    uint64_t wanted = number_of(address);
    if (before == 0)
        before = (uint64_t)oh_sys_brk(NULL);
    if (wanted < before)
        oh_mapping_begin_removal(&removal, wanted, before);
    uint64_t end = (uint64_t)oh_sys_brk(address);
    if (&__curbrk != NULL)
        __curbrk = (void *)(uintptr_t)end;
    oh_mapping_end_removal(&removal, end <= wanted);
    if (end < wanted)
        return status_of(-ENOMEM);
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
        return pointer_of(increment == 0 ? oh_sys_brk(NULL) : -ENOMEM);
    if (increment < 0) {
        uint64_t end = number_of(__sbrk(0));
        oh_mapping_begin_removal(&removal, end + (uint64_t)increment, end);
    }
    void *before = __sbrk(increment);
    bool succeeded = before != MAP_FAILED;
    oh_mapping_end_removal(&removal, succeeded);
    if (succeeded && increment > 0)
        oh_mapping_add(&caller, number_of(before), number_of(before) + (uint64_t)increment,
                       OH_KIND_MMAP);
    return before;
}

// --- System V's shared memory

OH_NOINLINE OH_REALIGN void *shmat(int id, const void *address, int flags)
{
    struct oh_caller caller;
    uint64_t bytes = 0;
    oh_caller_here(&caller);
    long at = oh_sys_shmat(id, address, flags);
    if (!oh_sys_failed(at) && oh_mapping_wanted() && oh_sys_shm_size(id, &bytes) >= 0 && bytes != 0)
        oh_mapping_add(&caller, (uint64_t)at, (uint64_t)at + round_up(bytes, PAGE_BYTES),
                       OH_KIND_SHM);
    return pointer_of(at);
}

// What is left of the segment at the address: nothing of what was mapped over parts of it.
OH_NOINLINE OH_REALIGN int shmdt(const void *address)
{
    struct oh_mapping_removal removals[SHM_PIECES];
    struct oh_format_range piece;
    uint64_t at = number_of(address), call = 0;
    int count = 0;
    for (int i = 0; i < SHM_PIECES && oh_mapping_find(at, &piece) != 0; i++) {
        if (i == 0)
            call = piece.call;
        if (piece.call == call)
            oh_mapping_begin_removal(&removals[count++], piece.begin, piece.end);
        at = piece.end;
    }
    long result = oh_sys_shmdt(address);
    while (count > 0)
        oh_mapping_end_removal(&removals[--count], result == 0);
    return status_of(result);
}
