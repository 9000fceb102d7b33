/* ZooKeeper's C client, many-threaded, under the load of the bench: get and set with so many
 * requests under way; see peers.sh. */

#define THREADED
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define TIMES_MAX (1 << 24)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int connected, under_way, failed;
static double begin_at, end_at, cpu_at_begin = -1;
static float *times;
static long count, done;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* One answer; its request was asked at `asked`, which is freed. */
static void answered(int rc, double *asked) {
    double at = now();
    pthread_mutex_lock(&lock);
    if (rc != ZOK)
        failed = rc;
    if (cpu_at_begin < 0 && at >= begin_at)
        cpu_at_begin = cpu();
    if (at >= begin_at && at <= end_at) {
        done++;
        if (*asked >= begin_at && count < TIMES_MAX)
            times[count++] = (at - *asked) * 1e6;
    }
    under_way--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    free(asked);
}

static void got(int rc, const char *value, int length, const struct Stat *stat, const void *asked) {
    answered(rc, (double *)asked);
}

static void was_set(int rc, const struct Stat *stat, const void *asked) {
    answered(rc, (double *)asked);
}

static void watcher(zhandle_t *handle, int type, int state, const char *path, void *context) {
    if (state != ZOO_CONNECTED_STATE)
        return;
    pthread_mutex_lock(&lock);
    connected = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static int ascending(const void *one, const void *other) {
    float difference = *(const float *)one - *(const float *)other;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
    if (argc != 9)
        return fprintf(stderr, "see peers.sh\n"), 2;
    int sets = !strcmp(argv[1], "set"), depth = atoi(argv[4]), payload = atoi(argv[5]);
    if ((!sets && strcmp(argv[1], "get")) || atoi(argv[3]) != 1)
        return fprintf(stderr, "get and set of one session alone\n"), 2;
    char *data = malloc(payload), path[64];
    memset(data, 'x', payload);
    times = malloc(sizeof(float) * TIMES_MAX);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zhandle_t *handle = zookeeper_init(argv[2], watcher, 30000, 0, 0, 0);
    pthread_mutex_lock(&lock);
    while (!connected)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    snprintf(path, sizeof path, "/peer-%d", getpid());
    failed = zoo_create(handle, path, data, payload, &ZOO_OPEN_ACL_UNSAFE, 0, 0, 0);
    begin_at = now() + atof(argv[6]);
    end_at = begin_at + atof(argv[7]);
    while (now() < end_at && !failed) {
        pthread_mutex_lock(&lock);
        while (under_way >= depth)
            pthread_cond_wait(&changed, &lock);
        under_way++;
        pthread_mutex_unlock(&lock);
        double *asked = malloc(sizeof *asked);
        *asked = now();
        int rc = sets ? zoo_aset(handle, path, data, payload, -1, was_set, asked)
                      : zoo_aget(handle, path, 0, got, asked);
        if (rc != ZOK)
            failed = rc;
    }
    pthread_mutex_lock(&lock);
    double used = cpu() - cpu_at_begin;
    if (failed || !count)
        return fprintf(stderr, "%s\n", zerror(failed)), 1;
    qsort(times, count, sizeof *times, ascending);
    printf("{\"operations_per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"cpu_us_per_operation\":%.2f}\n",
           done / (end_at - begin_at), times[count / 2], times[(long)(count * .99)],
           used * 1e6 / done);
    fflush(stdout);
    _exit(0);
}
