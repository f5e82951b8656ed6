/*
 * A wall clock that a test sets, for one process: preload this library and map a file with the offset.
 *
 * CLOCK_REALTIME runs at its real rate plus the offset in nanoseconds, a signed 64-bit number at the start of the file
 * named by SHIFTED_CLOCK.  What waits until a time of this clock (condition variables, semaphores) waits until the
 * shifted clock shows it, as the kernel does when the clock is set.  CLOCK_MONOTONIC stays as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define SLICE (20 * 1000000LL) /* how often a wait looks at the shifted clock */
#define YEAR_2001 1000000000LL /* an earlier time is one of the monotonic clock */

static volatile int64_t *offset;

__attribute__((constructor)) static void map(void)
{
    const char *name = getenv("SHIFTED_CLOCK");
    int file = name ? open(name, O_RDONLY) : -1;
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED)
        offset = at;
    close(file);
}

static int64_t to_ns(const struct timespec *time) { return time->tv_sec * SECOND + time->tv_nsec; }

static struct timespec to_timespec(int64_t ns)
{
    struct timespec time = {ns / SECOND, ns % SECOND};
    return time;
}

static int64_t real_ns(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return to_ns(&now);
}

static int64_t shift(void) { return offset ? *offset : 0; }

int clock_gettime(clockid_t clock, struct timespec *time)
{
    long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *time = to_timespec(to_ns(time) + shift());
    return (int)result;
}

int gettimeofday(struct timeval *time, void *zone)
{
    int64_t now = real_ns() + shift();
    (void)zone;
    time->tv_sec = now / SECOND;
    time->tv_usec = now % SECOND / 1000;
    return 0;
}

time_t time(time_t *result)
{
    time_t now = (real_ns() + shift()) / SECOND;
    if (result)
        *result = now;
    return now;
}

/* Wait in slices until the shifted clock shows `until`; `wait` waits until a real time. */
#define UNTIL_SHIFTED(wait)                                                  \
    if (until->tv_sec < YEAR_2001)                                           \
        return wait(until);                                                  \
    for (;;) {                                                               \
        int64_t left = to_ns(until) - (real_ns() + shift());                 \
        struct timespec slice =                                              \
            to_timespec(real_ns() + (left < 0 ? 0 : left > SLICE ? SLICE : left)); \
        int result = wait(&slice);                                           \
        if (!TIMED_OUT(result) || to_ns(until) <= real_ns() + shift())       \
            return result;                                                   \
    }

#define TIMED_OUT(result) ((result) == ETIMEDOUT)

typedef int (*cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
typedef int (*cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
typedef int (*semaphore_timedwait)(sem_t *, const struct timespec *);

static void *next(const char *name, const char *version)
{
    void *found = dlvsym(RTLD_NEXT, name, version);
    return found ? found : dlsym(RTLD_NEXT, name);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    static cond_timedwait real;
    if (!real)
        real = (cond_timedwait)next("pthread_cond_timedwait", "GLIBC_2.3.2");
#define WAIT(time) real(cond, mutex, time)
    UNTIL_SHIFTED(WAIT)
#undef WAIT
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *until)
{
    static cond_clockwait real;
    if (!real)
        real = (cond_clockwait)next("pthread_cond_clockwait", "GLIBC_2.30");
#define WAIT(time) real(cond, mutex, clock, time)
    if (clock != CLOCK_REALTIME)
        return WAIT(until);
    UNTIL_SHIFTED(WAIT)
#undef WAIT
}

#undef TIMED_OUT
#define TIMED_OUT(result) ((result) != 0 && errno == ETIMEDOUT)

int sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    static semaphore_timedwait real;
    if (!real)
        real = (semaphore_timedwait)next("sem_timedwait", "GLIBC_2.2.5");
#define WAIT(time) real(semaphore, time)
    UNTIL_SHIFTED(WAIT)
#undef WAIT
}
