// SPDX-License-Identifier: Apache-2.0
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/syscall_x86_64.h"

enum { SIGNAL_SET_BYTES = 8 };

static long call1(long number, long a)
{
    return oh_syscall6(number, a, 0, 0, 0, 0, 0);
}

static long call2(long number, long a, long b)
{
    return oh_syscall6(number, a, b, 0, 0, 0, 0);
}

static long call3(long number, long a, long b, long c)
{
    return oh_syscall6(number, a, b, c, 0, 0, 0);
}

static long call4(long number, long a, long b, long c, long d)
{
    return oh_syscall6(number, a, b, c, d, 0, 0);
}

long oh_sys_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
    return oh_syscall6(SYS_mmap, (long)addr, (long)length, prot, flags, fd, offset);
}

long oh_sys_munmap(void *addr, size_t length)
{
    return call2(SYS_munmap, (long)addr, (long)length);
}

long oh_sys_mprotect(void *addr, size_t length, int prot)
{
    return call3(SYS_mprotect, (long)addr, (long)length, prot);
}

long oh_sys_pkey_mprotect(void *addr, size_t length, int prot, int key)
{
    return oh_syscall6(SYS_pkey_mprotect, (long)addr, (long)length, prot, key, 0, 0);
}

long oh_sys_madvise(void *addr, size_t length, int advice)
{
    return call3(SYS_madvise, (long)addr, (long)length, advice);
}

long oh_sys_mremap(void *addr, size_t old_length, size_t length, int flags, void *to)
{
    return oh_syscall6(SYS_mremap, (long)addr, (long)old_length, (long)length, flags, (long)to, 0);
}

long oh_sys_brk(void *end)
{
    return call1(SYS_brk, (long)end);
}

long oh_sys_shmat(int id, const void *addr, int flags)
{
    return call3(SYS_shmat, id, (long)addr, flags);
}

long oh_sys_shmdt(const void *addr)
{
    return call1(SYS_shmdt, (long)addr);
}

long oh_sys_shm_size(int id, uint64_t *bytes)
{
    struct shmid_ds facts;
    long rc = call3(SYS_shmctl, id, IPC_STAT, (long)&facts);
    if (rc >= 0)
        *bytes = facts.shm_segsz;
    return rc;
}

long oh_sys_open(const char *path, int flags, mode_t mode)
{
    return call4(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, (long)mode);
}

long oh_sys_close(int fd)
{
    return call1(SYS_close, fd);
}

long oh_sys_dup_above(int fd, int lowest)
{
    return call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
}

long oh_sys_pread(int fd, void *buf, size_t size, off_t offset)
{
    return call4(SYS_pread64, fd, (long)buf, (long)size, offset);
}

long oh_sys_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
    return call4(SYS_pwrite64, fd, (long)buf, (long)size, offset);
}

long oh_sys_fstat(int fd, struct stat *st)
{
    return call4(SYS_newfstatat, fd, (long)"", (long)st, AT_EMPTY_PATH);
}

long oh_sys_stat(const char *path, struct stat *st)
{
    return call4(SYS_newfstatat, AT_FDCWD, (long)path, (long)st, 0);
}

long oh_sys_statfs_type(const char *path)
{
    struct statfs fs;
    long rc = call2(SYS_statfs, (long)path, (long)&fs);
    return rc < 0 ? rc : (long)fs.f_type;
}

long oh_sys_fstatfs(int fd, struct statfs *fs)
{
    return call2(SYS_fstatfs, fd, (long)fs);
}

long oh_sys_access_write(const char *path)
{
    return call3(SYS_faccessat, AT_FDCWD, (long)path, W_OK | X_OK);
}

// tmpfs gives up what it has reserved when a signal is pending, so a whole table at once might
// never come to its end in a program with a fast timer; a step does.
long oh_sys_reserve(int fd, uint64_t offset, uint64_t length)
{
    enum { STEP_BYTES = 1 << 20, TRIES = 100 };
    uint64_t end = offset + length;
    int tries = TRIES;
    while (offset < end) {
        uint64_t step = end - offset < STEP_BYTES ? end - offset : STEP_BYTES;
        long rc = call4(SYS_fallocate, fd, 0, (long)offset, (long)step);
        if (rc < 0 && (rc != -EINTR || --tries == 0))
            return rc;
        if (rc == 0) {
            offset += step;
            tries = TRIES;
        }
    }
    return 0;
}

long oh_sys_write_in_place(int fd)
{
    // A new file of a file system that knows this flag has no other that counts.
    int flags = FS_NOCOW_FL;
    return call3(SYS_ioctl, fd, FS_IOC_SETFLAGS, (long)&flags);
}

uint64_t oh_sys_file_size_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    (void)call4(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit);
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

long oh_sys_rename(const char *from, const char *to)
{
    return call4(SYS_renameat, AT_FDCWD, (long)from, AT_FDCWD, (long)to);
}

long oh_sys_rename_new(const char *from, const char *to)
{
    enum { NOREPLACE = 1 };
    return oh_syscall6(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, NOREPLACE, 0);
}

long oh_sys_exchange(const char *one, const char *other)
{
    enum { EXCHANGE = 2 };
    return oh_syscall6(SYS_renameat2, AT_FDCWD, (long)one, AT_FDCWD, (long)other, EXCHANGE, 0);
}

long oh_sys_link(const char *from, const char *to)
{
    return oh_syscall6(SYS_linkat, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0, 0);
}

long oh_sys_unlink(const char *path)
{
    return call3(SYS_unlinkat, AT_FDCWD, (long)path, 0);
}

long oh_sys_readlink(const char *path, char *buf, size_t size)
{
    return call4(SYS_readlinkat, AT_FDCWD, (long)path, (long)buf, (long)size);
}

long oh_sys_write_full(int fd, const void *buf, size_t size)
{
    size_t done = 0;
    while (done < size) {
        long n = call3(SYS_write, fd, (long)((const char *)buf + done), (long)(size - done));
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? n : -EIO;
        done += (size_t)n;
    }
    return 0;
}

long oh_sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return oh_syscall6(SYS_prctl, option, (long)a, (long)b, (long)c, (long)d, 0);
}

long oh_sys_getpid(void)
{
    return call1(SYS_getpid, 0);
}

long oh_sys_getppid(void)
{
    return call1(SYS_getppid, 0);
}

long oh_sys_gettid(void)
{
    return call1(SYS_gettid, 0);
}

uint64_t oh_sys_clock_ns(clockid_t clock)
{
    struct timespec ts = {0, 0};
    (void)call2(SYS_clock_gettime, clock, (long)&ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

long oh_sys_nanosleep_ns(uint64_t ns)
{
    struct timespec ts = {(time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000))};
    return call2(SYS_nanosleep, (long)&ts, 0);
}

long oh_sys_yield(void)
{
    return call1(SYS_sched_yield, 0);
}

long oh_sys_getrandom(void *buf, size_t size)
{
    enum { NONBLOCK = 1 };
    return call3(SYS_getrandom, (long)buf, (long)size, NONBLOCK);
}

long oh_sys_swap_signals(uint64_t blocked, uint64_t *before)
{
    enum { HOW_SET = 2 };
    return call4(SYS_rt_sigprocmask, HOW_SET, (long)&blocked, (long)before, SIGNAL_SET_BYTES);
}

_Noreturn void oh_sys_exit_group(int code)
{
    for (;;)
        (void)call1(SYS_exit_group, code);
}
