/* Log of every operation on the files of one directory, for replaying what a loss of power leaves of them.
 *
 * Preloaded (LD_PRELOAD) into every process of the program. POWER_ROOT names the directory, POWER_LOG the log; the
 * number of operations so far stands in POWER_LOG.count (8 bytes, shared memory). An operation and its record are one
 * step under a lock of all processes, so that the order of records is the order of operations. A flush has two records:
 * what was written before the first is durable once the second is there. Writing to a mapped file is not seen.
 * `POWER_ROOT/log` (the program's own log files) is left out.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, ALLOCATE, FLUSH_BEGIN, FLUSH_END, RENAME, UNLINK, MKDIR, RMDIR, LINK };

struct record {
    uint32_t magic, kind;
    uint64_t number, inode, a, b;
    uint32_t first, second;
};

#define MAGIC 0x41525750
#define MOST 65536

static char root[PATH_MAX], left_out[PATH_MAX], log_path[PATH_MAX];
static size_t root_size, left_size;
static volatile uint64_t *counter;
static int log_fd = -1, lock_fd = -1;
static pid_t owner;
static uint64_t inode_of[MOST];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int raw_open(const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int high(int fd) { /* out of the way of programs that count on low numbers */
    int up = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
    return up;
}

static void open_log(void) {
    char path[PATH_MAX + 8];
    owner = getpid();
    log_fd = high(raw_open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    snprintf(path, sizeof path, "%s.lock", log_path);
    lock_fd = high(raw_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int ours(const char *path) {
    if (!root_size || strncmp(path, root, root_size) || (path[root_size] != '/' && path[root_size])) return 0;
    return strncmp(path, left_out, left_size) || (path[left_size] != '/' && path[left_size]);
}

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("POWER_ROOT"), *log = getenv("POWER_LOG");
    char path[PATH_MAX + 8], target[PATH_MAX];
    if (!where || !log) return;
    snprintf(log_path, sizeof log_path, "%s", log);
    snprintf(path, sizeof path, "%s.count", log);
    int fd = raw_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, 8)) return;
    counter = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    open_log();
    snprintf(left_out, sizeof left_out, "%s/log", where);
    left_size = strlen(left_out);
    snprintf(root, sizeof root, "%s", where);
    root_size = strlen(root);
    for (fd = 0; fd < 1024; fd++) { /* what was open before this program was executed */
        struct stat st;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n <= 0) continue;
        target[n] = 0;
        if (ours(target) && !fstat(fd, &st)) inode_of[fd] = st.st_ino;
    }
}

static void lock(void) {
    pthread_mutex_lock(&mutex);
    if (owner != getpid()) open_log(); /* after a fork: a lock of our own */
    while (syscall(SYS_flock, lock_fd, LOCK_EX) && errno == EINTR) {}
}

static void unlock(void) {
    syscall(SYS_flock, lock_fd, LOCK_UN);
    pthread_mutex_unlock(&mutex);
}

static uint64_t put(uint32_t kind, uint64_t inode, uint64_t a, uint64_t b, struct iovec *data, int count) {
    struct iovec all[1026];
    struct record r = {MAGIC, kind, *counter + 1, inode, a, b, 0, 0};
    size_t size = 0;
    int i;
    for (i = 0; i < count; i++) {
        all[i + 1] = data[i];
        size += data[i].iov_len;
    }
    r.first = (uint32_t)(kind == RENAME || kind == LINK ? data[0].iov_len : size);
    r.second = (uint32_t)(size - r.first);
    all[0].iov_base = &r;
    all[0].iov_len = sizeof r;
    size += sizeof r;
    if ((size_t)syscall(SYS_writev, log_fd, all, count + 1) != size) abort();
    *counter = r.number;
    return r.number;
}

static void put_path(uint32_t kind, uint64_t inode, const char *path) {
    struct iovec one = {(void *)path, strlen(path)};
    put(kind, inode, 0, 0, &one, 1);
}

static const char *absolute(int at, const char *path, char *room) {
    char link[64];
    while (path[0] == '/' && path[1] == '/') path++;
    if (path[0] == '/') return path;
    if (at == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, room, PATH_MAX - 1);
    if (n < 0) return path;
    snprintf(room + n, (size_t)(PATH_MAX - n), "/%s", path);
    return room;
}

static uint64_t inode_at(const char *path) {
    struct stat st;
    return lstat(path, &st) ? 0 : st.st_ino;
}

static uint64_t tracked(int fd) { return fd >= 0 && fd < MOST ? inode_of[fd] : 0; }

static void set(int fd, uint64_t inode) {
    if (fd >= 0 && fd < MOST) inode_of[fd] = inode;
}

/* --- opening and closing */

static int opened(int at, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *full = absolute(at, path, room);
    if (!ours(full)) {
        int fd = (int)syscall(SYS_openat, at, path, flags, mode);
        set(fd, 0);
        return fd;
    }
    lock();
    uint64_t before = flags & O_CREAT ? inode_at(full) : 1;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode), kept = errno;
    if (fd >= 0) {
        struct stat st;
        fstat(fd, &st);
        set(fd, st.st_ino);
        if (!before) put_path(CREATE, st.st_ino, full);
        else if (flags & O_TRUNC) put(TRUNCATE, st.st_ino, 0, 0, NULL, 0);
    }
    unlock();
    errno = kept;
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list list; \
        va_start(list, flags); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

int close(int fd) {
    set(fd, 0);
    return (int)syscall(SYS_close, fd);
}

int dup(int fd) {
    int made = (int)syscall(SYS_dup, fd);
    set(made, tracked(fd));
    return made;
}

int dup3(int fd, int other, int flags) {
    int made = (int)syscall(SYS_dup3, fd, other, flags);
    if (made >= 0) set(made, tracked(fd));
    return made;
}

int dup2(int fd, int other) { return fd == other ? fd : dup3(fd, other, 0); }

static int controlled(int fd, int command, void *argument) {
    int result = (int)syscall(SYS_fcntl, fd, command, argument);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) set(result, tracked(fd));
    return result;
}

int fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return controlled(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return controlled(fd, command, argument);
}

/* --- writing */

static void written(int fd, uint64_t inode, const struct iovec *data, int count, off_t at, ssize_t done) {
    struct iovec part[1024];
    size_t left = (size_t)done;
    int i, synchronous = (int)syscall(SYS_fcntl, fd, F_GETFL) & O_DSYNC;
    for (i = 0; i < count && left; i++) {
        part[i] = data[i];
        if (part[i].iov_len > left) part[i].iov_len = left;
        left -= part[i].iov_len;
    }
    uint64_t number = put(WRITE, inode, (uint64_t)at, 0, part, i);
    if (synchronous) put(FLUSH_END, inode, number + 1, 0, NULL, 0);
}

static ssize_t write_at(int fd, const struct iovec *data, int count, off_t at) {
    uint64_t inode = tracked(fd);
    if (!inode || count > 1024) {
        return at < 0 ? syscall(SYS_writev, fd, data, count) : syscall(SYS_pwritev, fd, data, count, at, 0);
    }
    lock();
    ssize_t done = at < 0 ? syscall(SYS_writev, fd, data, count) : syscall(SYS_pwritev, fd, data, count, at, 0);
    int kept = errno;
    if (done > 0) written(fd, inode, data, count, at < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) - done : at, done);
    unlock();
    errno = kept;
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec one = {(void *)data, size};
    return tracked(fd) ? write_at(fd, &one, 1, -1) : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    struct iovec one = {(void *)data, size};
    return tracked(fd) ? write_at(fd, &one, 1, at) : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *data, int count) { return write_at(fd, data, count, -1); }
ssize_t pwritev(int fd, const struct iovec *data, int count, off_t at) { return write_at(fd, data, count, at); }
ssize_t pwritev64(int fd, const struct iovec *data, int count, off_t at) { return write_at(fd, data, count, at); }

ssize_t pwritev2(int fd, const struct iovec *data, int count, off_t at, int flags) {
    if (!tracked(fd)) return syscall(SYS_pwritev2, fd, data, count, at, 0, flags);
    return write_at(fd, data, count, at); /* flags only make it more durable than we count */
}

ssize_t pwritev64v2(int fd, const struct iovec *data, int count, off_t at, int flags) {
    return pwritev2(fd, data, count, at, flags);
}

int ftruncate(int fd, off_t size) {
    uint64_t inode = tracked(fd);
    if (!inode) return (int)syscall(SYS_ftruncate, fd, size);
    lock();
    int result = (int)syscall(SYS_ftruncate, fd, size), kept = errno;
    if (!result) put(TRUNCATE, inode, (uint64_t)size, 0, NULL, 0);
    unlock();
    errno = kept;
    return result;
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size) {
    char room[PATH_MAX];
    const char *full = absolute(AT_FDCWD, path, room);
    if (!ours(full)) return (int)syscall(SYS_truncate, path, size);
    lock();
    int result = (int)syscall(SYS_truncate, path, size), kept = errno;
    if (!result) put(TRUNCATE, inode_at(full), (uint64_t)size, 0, NULL, 0);
    unlock();
    errno = kept;
    return result;
}

int truncate64(const char *path, off_t size) { return truncate(path, size); }

int fallocate(int fd, int mode, off_t at, off_t size) {
    uint64_t inode = tracked(fd);
    if (!inode) return (int)syscall(SYS_fallocate, fd, mode, at, size);
    if (mode) abort(); /* holes and the like are not replayed */
    lock();
    int result = (int)syscall(SYS_fallocate, fd, mode, at, size), kept = errno;
    if (!result) put(ALLOCATE, inode, (uint64_t)at, (uint64_t)size, NULL, 0);
    unlock();
    errno = kept;
    return result;
}

int fallocate64(int fd, int mode, off_t at, off_t size) { return fallocate(fd, mode, at, size); }

int posix_fallocate(int fd, off_t at, off_t size) {
    int kept = errno, result = fallocate(fd, 0, at, size) ? errno : 0;
    errno = kept;
    return result;
}

int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }

static int flushed(int fd, long call) {
    uint64_t inode = tracked(fd);
    if (!inode) return (int)syscall(call, fd);
    lock();
    uint64_t number = put(FLUSH_BEGIN, inode, 0, 0, NULL, 0);
    unlock();
    int result = (int)syscall(call, fd), kept = errno;
    if (!result) {
        lock();
        put(FLUSH_END, inode, number, 0, NULL, 0);
        unlock();
    }
    errno = kept;
    return result;
}

int fsync(int fd) { return flushed(fd, SYS_fsync); }
int fdatasync(int fd) { return flushed(fd, SYS_fdatasync); }

/* --- names */

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char one[PATH_MAX], two[PATH_MAX];
    const char *old = absolute(from_at, from, one), *new = absolute(to_at, to, two);
    if (!ours(old) && !ours(new)) return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    lock();
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags), kept = errno;
    if (!result) {
        struct iovec both[2] = {{(void *)old, strlen(old)}, {(void *)new, strlen(new)}};
        put(RENAME, inode_at(new), 0, 0, both, 2);
    }
    unlock();
    errno = kept;
    return result;
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_at, const char *from, int to_at, const char *to) {
    return renameat2(from_at, from, to_at, to, 0);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char one[PATH_MAX], two[PATH_MAX];
    const char *old = absolute(from_at, from, one), *new = absolute(to_at, to, two);
    if (!ours(new)) return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
    lock();
    int result = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags), kept = errno;
    if (!result) {
        struct iovec both[2] = {{(void *)old, strlen(old)}, {(void *)new, strlen(new)}};
        put(LINK, inode_at(new), 0, 0, both, 2);
    }
    unlock();
    errno = kept;
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

static int named(int at, const char *path, uint32_t kind, int flags) {
    char room[PATH_MAX];
    const char *full = absolute(at, path, room);
    if (!ours(full)) return (int)syscall(SYS_unlinkat, at, path, flags);
    lock();
    uint64_t inode = inode_at(full);
    int result = (int)syscall(SYS_unlinkat, at, path, flags), kept = errno;
    if (!result) put_path(kind, inode, full);
    unlock();
    errno = kept;
    return result;
}

int unlinkat(int at, const char *path, int flags) {
    return named(at, path, flags & AT_REMOVEDIR ? RMDIR : UNLINK, flags);
}
int unlink(const char *path) { return named(AT_FDCWD, path, UNLINK, 0); }
int rmdir(const char *path) { return named(AT_FDCWD, path, RMDIR, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
    char room[PATH_MAX];
    const char *full = absolute(at, path, room);
    if (!ours(full)) return (int)syscall(SYS_mkdirat, at, path, mode);
    lock();
    int result = (int)syscall(SYS_mkdirat, at, path, mode), kept = errno;
    if (!result) put_path(MKDIR, inode_at(full), full);
    unlock();
    errno = kept;
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
