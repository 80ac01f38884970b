// SPDX-License-Identifier: Apache-2.0
//
// Raw system calls for code that runs inside the host process. Nothing here goes through libc:
// no errno, no cancellation point, no interposed symbol (our own hooks least of all), no lock.
//
// Every function returns the kernel's value, or a negative error number. EINTR is left to the
// caller except where the comment says otherwise. Callable from any thread at any time, signal
// handlers and half-initialised processes included.

#ifndef OH_BASE_SYS_H
#define OH_BASE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>

// Returns the mapped address as a long, or a negative error number; oh_sys_failed() tells.
long oh_sys_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
long oh_sys_munmap(void *addr, size_t length);
long oh_sys_mprotect(void *addr, size_t length, int prot);
long oh_sys_pkey_mprotect(void *addr, size_t length, int prot, int key);
long oh_sys_madvise(void *addr, size_t length, int advice);
long oh_sys_mremap(void *addr, size_t old_length, size_t length, int flags, void *to); // As mmap.
// A byte for each page of [addr, addr + length), its lowest bit set when the page is in memory.
long oh_sys_brk(void *end); // The end as it is then; the same as before when it cannot be there.
long oh_sys_shmat(int id, const void *addr, int flags); // As mmap.
long oh_sys_shmdt(const void *addr);
long oh_sys_shm_size(int id, uint64_t *bytes); // *bytes is left alone on failure.

// Opens relative to the working directory; O_CLOEXEC is always added.
long oh_sys_open(const char *path, int flags, mode_t mode);
long oh_sys_close(int fd);
long oh_sys_dup_above(int fd, int lowest); // The duplicate is close-on-exec.
long oh_sys_pread(int fd, void *buf, size_t size, off_t offset);
long oh_sys_pwrite(int fd, const void *buf, size_t size, off_t offset);
long oh_sys_fstat(int fd, struct stat *st);
long oh_sys_stat(const char *path, struct stat *st);
long oh_sys_statfs_type(const char *path); // The file system's magic number, or negative.
long oh_sys_fstatfs(int fd, struct statfs *fs);
long oh_sys_access_write(const char *path);
// Has [offset, offset + length) on the disk and extends the file (fallocate): 0, or a negative
// error. Bounded, also while signals keep coming.
long oh_sys_reserve(int fd, uint64_t offset, uint64_t length);
// Has a file system that writes to a new place at each write (btrfs) write this file, which must be
// empty, in place: else what was reserved holds for the first write only. 0, or a negative error:
// the file system does no such thing, or cannot do without.
long oh_sys_write_in_place(int fd);
uint64_t oh_sys_file_size_limit(void); // RLIMIT_FSIZE; UINT64_MAX when there is none.
long oh_sys_rename(const char *from, const char *to);
// -EEXIST when `to` is there; other errors also where the file system cannot promise that.
long oh_sys_rename_new(const char *from, const char *to);
long oh_sys_exchange(const char *one, const char *other); // Swaps two names of one file system.
long oh_sys_link(const char *from, const char *to);
long oh_sys_unlink(const char *path);
long oh_sys_readlink(const char *path, char *buf, size_t size);

// Writes all of buf at the file's position: 0, or a negative error (-EIO when nothing moves).
long oh_sys_write_full(int fd, const void *buf, size_t size);

// As the hook of that name is called: four values, of which an option may use none.
long oh_sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
long oh_sys_getpid(void);
long oh_sys_getppid(void);
long oh_sys_gettid(void);
uint64_t oh_sys_clock_ns(clockid_t clock);
long oh_sys_nanosleep_ns(uint64_t ns);
long oh_sys_yield(void); // Lets another thread have the processor, if one wants it.
long oh_sys_getrandom(void *buf, size_t size);
// Sets the calling thread's blocked signals and tells which were (a bit each, signal 1 lowest).
long oh_sys_swap_signals(uint64_t blocked, uint64_t *before);
_Noreturn void oh_sys_exit_group(int code);

static inline int oh_sys_failed(long result)
{
    return (unsigned long)result >= (unsigned long)-4095L;
}

#endif
