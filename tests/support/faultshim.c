/* Faults on demand, between a program and the kernel. Preloaded into an installation by tests/support/faultshim.py.
 *
 * A control block in a shared file says which calls on which paths fail, with which error, from the how-manieth on and
 * how often; or how long they take; or how far the wall clock is off. Everything else goes through untouched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, OPEN = 4, NAME = 8, ROOM = 16, READ = 32 };

struct control { /* keep in step with _LAYOUT in faultshim.py */
    uint32_t kinds;      /* calls that are concerned, 0: none */
    int32_t error;       /* errno to fail with, 0: none */
    int64_t first;       /* the first matching call that fails, counted from 1 */
    int64_t count;       /* how many fail */
    int64_t delay_us;    /* how long a matching call takes */
    int64_t clock_us;    /* added to the wall clock */
    int64_t pid;         /* the only process that is concerned, 0: all */
    int64_t seen;        /* matching calls so far */
    int64_t struck;      /* calls that failed so far */
    char prefix[512];    /* paths begin so */
    char within[128];    /* and contain this */
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("ANDROMEDE_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED) control = found;
}

static int concerns(const char *path) {
    const char *end = path + strlen(path);
    size_t size = strlen(control->prefix);
    return (size_t)(end - path) >= size && !strncmp(path, control->prefix, size) && strstr(path, control->within);
}

/* The errno to fail with, 0 to go on. */
static int strike(uint32_t kind, int fd, const char *path) {
    struct control *c = control;
    char name[64], target[4096];
    if (!c || !(c->kinds & kind) || (c->pid && c->pid != getpid())) return 0;
    if (!path || path[0] != '/') {
        int at = path ? -1 : fd;
        if (at < 0) { /* a relative path: below the working directory */
            if (!getcwd(target, 2048)) return 0;
            strncat(strcat(target, "/"), path ? path : "", 2000);
        } else {
            snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
            ssize_t size = readlink(name, target, sizeof target - 1);
            if (size <= 0) return 0;
            target[size] = 0;
        }
        path = target;
    }
    if (!concerns(path)) return 0;
    int64_t number = __atomic_add_fetch(&c->seen, 1, __ATOMIC_SEQ_CST);
    if (c->delay_us > 0) {
        struct timespec rest = {c->delay_us / 1000000, c->delay_us % 1000000 * 1000};
        while (nanosleep(&rest, &rest) && errno == EINTR) {}
    }
    if (!c->error || number < c->first || number >= c->first + c->count) return 0;
    __atomic_add_fetch(&c->struck, 1, __ATOMIC_SEQ_CST);
    return c->error;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FAIL(kind, fd, path, value) do { int why = strike(kind, fd, path); if (why) { errno = why; return value; } } while (0)

#define ONE(result, name, kind, parameters, arguments, fd) \
    result name parameters { REAL(name); FAIL(kind, fd, NULL, -1); return real arguments; }
#define PATH(name, parameters, arguments, kind, path) \
    int name parameters { REAL(name); FAIL(kind, -1, path, -1); return real arguments; }

ONE(ssize_t, write, WRITE, (int fd, const void *data, size_t size), (fd, data, size), fd)
ONE(ssize_t, writev, WRITE, (int fd, const struct iovec *v, int n), (fd, v, n), fd)
ONE(ssize_t, pwrite, WRITE, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), fd)
ONE(ssize_t, pwrite64, WRITE, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), fd)
ONE(ssize_t, pwritev, WRITE, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), fd)
ONE(ssize_t, pwritev64, WRITE, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), fd)
ONE(ssize_t, pwritev2, WRITE, (int fd, const struct iovec *v, int n, off_t at, int f), (fd, v, n, at, f), fd)
ONE(ssize_t, pwritev64v2, WRITE, (int fd, const struct iovec *v, int n, off64_t at, int f), (fd, v, n, at, f), fd)
ONE(int, fsync, SYNC, (int fd), (fd), fd)
ONE(int, fdatasync, SYNC, (int fd), (fd), fd)
ONE(int, ftruncate, ROOM, (int fd, off_t size), (fd, size), fd)
ONE(int, ftruncate64, ROOM, (int fd, off64_t size), (fd, size), fd)
ONE(ssize_t, pread, READ, (int fd, void *data, size_t size, off_t at), (fd, data, size, at), fd)
ONE(ssize_t, pread64, READ, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at), fd)
ONE(ssize_t, preadv, READ, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), fd)
ONE(ssize_t, preadv64, READ, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), fd)
ONE(ssize_t, preadv2, READ, (int fd, const struct iovec *v, int n, off_t at, int f), (fd, v, n, at, f), fd)
ONE(ssize_t, preadv64v2, READ, (int fd, const struct iovec *v, int n, off64_t at, int f), (fd, v, n, at, f), fd)

PATH(rename, (const char *from, const char *to), (from, to), NAME, to)
PATH(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), NAME, to)
PATH(link, (const char *from, const char *to), (from, to), NAME, to)
PATH(linkat, (int a, const char *from, int b, const char *to, int f), (a, from, b, to, f), NAME, to)
PATH(mkdir, (const char *path, mode_t mode), (path, mode), NAME, path)

int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate);
    int why = strike(ROOM, fd, NULL);
    return why ? why : real(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    REAL(posix_fallocate64);
    int why = strike(ROOM, fd, NULL);
    return why ? why : real(fd, at, size);
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
#define WRITING(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC))

int open(const char *path, int flags, ...) { REAL(open); MODE if (WRITING(flags)) FAIL(OPEN, -1, path, -1); return real(path, flags, mode); }
int open64(const char *path, int flags, ...) { REAL(open64); MODE if (WRITING(flags)) FAIL(OPEN, -1, path, -1); return real(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { REAL(openat); MODE if (WRITING(flags)) FAIL(OPEN, -1, path, -1); return real(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { REAL(openat64); MODE if (WRITING(flags)) FAIL(OPEN, -1, path, -1); return real(at, path, flags, mode); }

static int64_t shift(void) { return control ? control->clock_us : 0; }

int clock_gettime(clockid_t which, struct timespec *t) {
    REAL(clock_gettime);
    int result = real(which, t);
    int64_t off = which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE ? shift() : 0;
    if (!result && off) {
        int64_t us = t->tv_nsec / 1000 + off % 1000000, seconds = t->tv_sec + off / 1000000;
        if (us < 0) { us += 1000000; seconds--; }
        if (us >= 1000000) { us -= 1000000; seconds++; }
        t->tv_sec = seconds;
        t->tv_nsec = us * 1000 + t->tv_nsec % 1000;
    }
    return result;
}

time_t time(time_t *out) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}
