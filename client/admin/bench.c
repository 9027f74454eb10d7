/* bench.c - cmq bench send | consume | e2e: options, the topic, the clock, the results.
 *
 * One line of time for all three: start, warm-up, measurement, last answers. The main thread only waits, shows progress on a terminal and
 * notes the processor's time; senders and consumers work on threads of their own. What it does is what any producer and consumer may do,
 * so it measures every RocketMQ that libcmq can talk to.
 *   I1  sent + failed = what was tried in the measurement; received + lost = sent of e2e, unless sends failed.  (test: integration/bench.sh) */
#include "client/admin/bench.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "client/admin/out.h"

enum { MS = 1000000, TICK_NS = 20 * MS, DRAIN_NS_PER_QUIET = 1000 * MS, QUIET_TIMES = 3, PLANNED_MAX = 1000000000 };
static volatile sig_atomic_t interrupted;
static void on_signal(int sig) { interrupted = sig; }

/* ---- shared with the senders and consumers ---- */

int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_sleep_until(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    if (bench_now_ns() < ns)
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
            ;
}

void bench_failed(struct bench *b, const struct cmq_error *err, uint64_t n, bool measured)
{
    bool hopeless = err->code == CMQ_ERR_ARGUMENT || err->code == CMQ_ERR_CONFIG || err->code == CMQ_ERR_NO_MEMORY || err->code == CMQ_ERR_STATE;
    pthread_mutex_lock(&b->lock);
    if (b->first.code == CMQ_OK)
        b->first = *err;
    pthread_mutex_unlock(&b->lock);
    if (measured || hopeless) {
        atomic_fetch_add(&b->failed, n);
        atomic_fetch_add(&b->errors[err->code], n);
    }
    if (hopeless)
        atomic_store(&b->stop, true);
}

void bench_last(struct bench *b, int64_t ns)
{
    int_fast64_t had = atomic_load_explicit(&b->last_ns, memory_order_relaxed);
    while (had < ns && !atomic_compare_exchange_weak_explicit(&b->last_ns, &had, ns, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* ---- progress ---- */

static int64_t cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 + ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

struct progress {
    bool shown;
    int64_t next_ns;
    uint64_t sent, received, failed;
};

static void progress(struct bench *b, struct progress *p, int64_t now, int64_t measure_ns)
{
    if (!p->shown || now < p->next_ns || measure_ns == 0 || now < measure_ns)
        return;
    uint64_t sent = atomic_load(&b->sent), received = atomic_load(&b->received), failed = atomic_load(&b->failed);
    if (p->next_ns) {
        fprintf(stderr, "%4" PRId64 " s", (now - measure_ns) / 1000000000);
        if (sent || failed)
            fprintf(stderr, "  %9" PRIu64 " sent/s", sent - p->sent);
        if (received)
            fprintf(stderr, "  %9" PRIu64 " received/s", received - p->received);
        fprintf(stderr, failed > p->failed ? "  %" PRIu64 " failed\n" : "\n", failed - p->failed);
    }
    *p = (struct progress){true, p->next_ns ? p->next_ns + 1000000000 : measure_ns + 1000000000, sent, received, failed};
}

/* Waits until `over` says so, or a signal came. Notes the processor's time when the measurement begins. */
static void wait_for(struct bench *b, bool (*over)(struct bench *b, int64_t now), struct progress *p, struct bench_sender *senders, int64_t *cpu)
{
    for (int64_t now = bench_now_ns(); !over(b, now); now = bench_now_ns()) {
        pthread_mutex_lock(&b->lock);
        int64_t measure_ns = b->measure_ns; /* of consume: set by the first message */
        pthread_mutex_unlock(&b->lock);
        if (interrupted)
            atomic_store(&b->stop, true);
        if (*cpu < 0 && measure_ns && now >= measure_ns) {
            *cpu = cpu_ns();
            if (senders)
                bench_send_mark(senders, b);
        }
        progress(b, p, now, measure_ns);
        bench_sleep_until(*cpu < 0 && measure_ns > now && measure_ns < now + TICK_NS ? measure_ns : now + TICK_NS);
    }
}

static bool senders_ended(struct bench *b, int64_t now)
{
    (void)now;
    return atomic_load(&b->running) == 0;
}

static bool consume_over(struct bench *b, int64_t now)
{
    pthread_mutex_lock(&b->lock);
    int64_t last = atomic_load(&b->last_ns), end = b->end_ns;
    pthread_mutex_unlock(&b->lock);
    if (last == 0)
        last = (int64_t)atomic_load(&b->claimed); /* of consume: when it began to wait */
    return atomic_load(&b->stop) || now >= end || (b->idle_ms && now >= last + b->idle_ms * MS);
}

/* What was acknowledged and did not arrive yet gets time, as long as something comes. */
static void drain(struct bench *b)
{
    uint64_t before = UINT64_MAX;
    for (int quiet = 0; quiet < QUIET_TIMES && !interrupted; quiet++) {
        pthread_mutex_lock(&b->lock);
        bool all = bench_marks_missing(&b->acked, &b->seen, 0) == 0;
        pthread_mutex_unlock(&b->lock);
        uint64_t received = atomic_load(&b->received);
        if (all)
            return;
        quiet = received != before ? 0 : quiet;
        before = received;
        bench_sleep_until(bench_now_ns() + DRAIN_NS_PER_QUIET);
    }
}

/* ---- results ---- */

static const struct out_column cols[] = {
    {"test", "TEST", 0, false},          {"messages", "MESSAGES", 0, true},   {"failed", "FAILED", 0, true},      {"retried", "RETRIED", 0, true},
    {"lost", "LOST", 0, true},           {"duplicates", "DUP", 0, true},      {"elapsedMillis", "MS", 0, true},   {"messagesPerSecond", "MSG/S", 0, true},
    {"bytesPerSecond", "BYTE/S", 0, true}, {"p50Micros", "P50us", 0, true},   {"p90Micros", "P90us", 0, true},    {"p99Micros", "P99us", 0, true},
    {"p999Micros", "P99.9us", 0, true},  {"maxMicros", "MAXus", 0, true},     {"clientCpuNanosPerMessage", "CPUns", 0, true}, {"errors", "ERRORS", 0, false}};

static void errors_text(struct bench *b, struct buf *to)
{
    for (int i = 0; i < BENCH_CODES; i++)
        if (atomic_load(&b->errors[i]))
            buf_printf(to, "%s%s=%" PRIu64, to->n ? " " : "", cmq_code_name((enum cmq_code)i), (uint64_t)atomic_load(&b->errors[i]));
}

static int show(struct bench *b, uint64_t n, int64_t cpu)
{
    static const uint64_t parts[] = {500, 900, 990, 999, 1000};
    struct out o;
    struct buf errors = {0};
    int64_t took = atomic_load(&b->last_ns) - b->measure_ns;
    double s = took > 0 ? (double)took / 1e9 : 0;
    errors_text(b, &errors);
    out_begin(&o, out_format_of(b->c), false, cols, sizeof cols / sizeof *cols);
    out_text(&o, b->name);
    out_i64(&o, (int64_t)n);
    out_i64(&o, (int64_t)atomic_load(&b->failed));
    out_i64(&o, (int64_t)b->retried);
    out_i64(&o, (int64_t)b->lost);
    out_i64(&o, (int64_t)b->duplicates);
    out_i64(&o, took > 0 ? took / MS : 0);
    out_i64(&o, s > 0 ? (int64_t)((double)n / s) : 0);
    out_i64(&o, s > 0 ? (int64_t)((double)b->bytes / s) : 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        out_i64(&o, (int64_t)(bench_hist_at(&b->hist, parts[i], 1000) / 1000));
    out_i64(&o, n > 0 && cpu > 0 ? cpu / (int64_t)n : 0);
    out_bytes(&o, buf_view(&errors));
    buf_free(&errors);
    return out_end(&o) ? DONE : REFUSED;
}

static int verdict(struct bench *b, uint64_t n)
{
    uint64_t failed = atomic_load(&b->failed);
    int rc = DONE;
    if (failed > 0) {
        say("%" PRIu64 " messages failed. The first:", failed);
        rc = complain_error(b->c, &b->first, b->topic);
    }
    if (b->lost + b->lost_early > 0)
        say("%" PRIu64 " messages were acknowledged and did not arrive%s.", b->lost + b->lost_early, b->lost_early ? ", some of them of the warm-up" : "");
    if (n == 0 && rc == DONE) {
        complain(b->c, "no message was measured");
        return REFUSED;
    }
    return n > 0 && (rc != DONE || b->lost + b->lost_early > 0) ? PARTIAL : rc;
}

/* ---- the topic ---- */

static void no_route(void *arg, const struct cmq_route *r) { (void)arg, (void)r; }

static int topic_begin(struct bench *b, struct cmq_admin *admin, bool may_create)
{
    struct cmq_error err = {0};
    int64_t queues;
    if (!call_number(b->c, OPT_QUEUES, 1, 65536, 8, &queues))
        return USAGE;
    enum cmq_code code = cmq_admin_topic_route(admin, b->topic, no_route, NULL, &err);
    if (code == CMQ_OK || !may_create || (code != CMQ_ERR_NO_ROUTE && code != CMQ_ERR_NOT_FOUND))
        return code == CMQ_OK ? DONE : complain_error(b->c, &err, b->topic);
    struct cmq_topic_config config = {.read_queues = (int32_t)queues, .write_queues = (int32_t)queues, .perm = CMQ_PERM_READ | CMQ_PERM_WRITE};
    if (cmq_admin_create_topic(admin, NULL, b->topic, &config, &err) != CMQ_OK)
        return complain_error(b->c, &err, NULL);
    say("Made the topic %s with %" PRId64 " queues on each broker%s.", b->topic, queues, b->c->opt[OPT_DELETE] ? "" : "; it stays, see --delete");
    return DONE;
}

static int topic_end(struct bench *b, struct cmq_admin *admin, int rc)
{
    struct cmq_error err = {0};
    if (b->c->opt[OPT_DELETE] == NULL)
        return rc;
    if (cmq_admin_delete_topic(admin, NULL, b->topic, &err) == CMQ_OK)
        return rc;
    int bad = complain_error(b->c, &err, NULL);
    return rc == DONE ? bad : rc;
}

/* ---- options ---- */

static bool options(struct bench *b)
{
    const struct call *c = b->c;
    int64_t seconds, warmup;
    b->topic = c->opt[OPT_TOPIC] ? c->opt[OPT_TOPIC] : "CMQ_BENCH";
    b->group = c->opt[OPT_GROUP] ? c->opt[OPT_GROUP] : "CMQ_BENCH";
    b->sync = c->opt[OPT_SYNC] != NULL;
    b->poll = c->opt[OPT_POLL] != NULL;
    bool consume = strcmp(b->name, "consume") == 0;
    if (!call_number(c, OPT_SIZE, b->e2e ? BENCH_HEAD : 1, 4 << 20, 128, &b->size) || !call_number(c, OPT_RATE, 1, 10000000, b->e2e ? 1000 : 0, &b->rate) ||
        !call_number(c, OPT_THREADS, 1, 256, 1, &b->threads) || !call_number(c, OPT_INFLIGHT, 1, 16384, 256, &b->inflight) ||
        !call_number(c, OPT_BATCH, 1, 1024, consume ? 32 : 1, &b->batch) || !call_number(c, OPT_COUNT, 1, PLANNED_MAX, 0, &b->count) ||
        !call_number(c, OPT_DURATION, 1, 86400, b->count ? 86400 : 10, &seconds) || !call_number(c, OPT_WARMUP, 0, 3600, consume ||
        b->count ? 0 : 1, &warmup) ||
        !call_number(c, OPT_IDLE, 1, 86400000, consume ? 5000 : 0, &b->idle_ms))
        return false;
    b->duration_ms = seconds * 1000;
    b->warmup_ms = warmup * 1000;
    if (c->opt[OPT_INFLIGHT] && (b->sync || b->batch > 1 || b->rate)) {
        complain(c, "--inflight goes with neither --sync nor --batch nor --rate");
        return false;
    }
    if (b->sync && b->batch > 1) {
        complain(c, "--sync goes without --batch, which waits for its answer anyway");
        return false;
    }
    if (b->rate == 0)
        return true;
    uint64_t early = bench_plan_due_count(b->warmup_ms * MS, (uint64_t)b->rate), due = bench_plan_due_count(b->duration_ms * MS, (uint64_t)b->rate);
    b->planned = early + (b->count && (uint64_t)b->count < due ? (uint64_t)b->count : due);
    if (b->planned > PLANNED_MAX) {
        complain(c, "more than %d messages in one run", PLANNED_MAX);
        return false;
    }
    return true;
}

static void begin_clock(struct bench *b) /* consumers may have begun, and see messages of other runs */
{
    pthread_mutex_lock(&b->lock);
    b->start_ns = bench_now_ns() + 20 * MS; /* threads are being started */
    b->measure_ns = b->start_ns + b->warmup_ms * MS;
    b->end_ns = b->measure_ns + b->duration_ms * MS;
    b->run = (uint64_t)b->start_ns ^ (uint64_t)getpid() << 40 ^ (uint64_t)time(NULL) << 20;
    pthread_mutex_unlock(&b->lock);
}

static void catch_signals(void)
{
    const struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

/* ---- send, e2e ---- */

static void count_lost(struct bench *b)
{
    uint64_t first = bench_plan_due_count(b->warmup_ms * MS, (uint64_t)b->rate);
    b->lost = bench_marks_missing(&b->acked, &b->seen, first);
    b->lost_early = bench_marks_missing(&b->acked, &b->seen, 0) - b->lost;
}

static int measure(struct bench *b, struct cmq_admin *admin)
{
    struct bench_sender *senders = NULL;
    struct bench_reader *reader = NULL;
    struct progress p = {.shown = isatty(STDERR_FILENO) == 1};
    int64_t cpu = -1;
    begin_clock(b);
    int rc = b->e2e ? bench_read_begin(b, admin, &reader) : DONE;
    if (rc != DONE)
        return rc;
    begin_clock(b); /* that may have taken a while */
    rc = bench_send_begin(b, &senders);
    if (rc == DONE) {
        wait_for(b, senders_ended, &p, senders, &cpu);
        if (b->e2e)
            drain(b);
        cpu = cpu < 0 ? -1 : cpu_ns() - cpu;
        bench_send_end(senders, b);
    }
    bench_read_end(reader, b);
    if (rc != DONE)
        return rc;
    uint64_t n = b->e2e ? atomic_load(&b->received) : atomic_load(&b->sent);
    if (b->e2e)
        count_lost(b);
    else
        b->bytes = n * (uint64_t)b->size;
    rc = n > 0 ? show(b, n, cpu) : DONE;
    int judged = verdict(b, n);
    return rc == DONE ? judged : rc;
}

static int bench_sends(struct bench *b)
{
    struct cmq_admin *admin;
    if (!options(b))
        return USAGE;
    int rc = session_admin(b->c, &admin);
    if (rc != DONE)
        return rc;
    rc = topic_begin(b, admin, true);
    if (rc == DONE && b->e2e && (!bench_marks_init(&b->acked, b->planned) || !bench_marks_init(&b->seen, b->planned))) {
        complain(b->c, "out of memory");
        rc = REFUSED;
    }
    if (rc == DONE) {
        catch_signals();
        rc = topic_end(b, admin, measure(b, admin));
    }
    bench_marks_fini(&b->acked);
    bench_marks_fini(&b->seen);
    cmq_admin_free(admin);
    return rc;
}

int cmd_bench_send(const struct call *c)
{
    static struct bench b;
    b.c = c;
    b.name = "send";
    pthread_mutex_init(&b.lock, NULL);
    return bench_sends(&b);
}

int cmd_bench_e2e(const struct call *c)
{
    static struct bench b;
    b.c = c;
    b.name = "e2e";
    b.e2e = true;
    pthread_mutex_init(&b.lock, NULL);
    return bench_sends(&b);
}

/* ---- consume ---- */

static int consume(struct bench *b, struct cmq_admin *admin)
{
    struct bench_reader *reader;
    struct progress p = {.shown = isatty(STDERR_FILENO) == 1};
    int64_t cpu = b->warmup_ms ? -1 : cpu_ns();
    b->end_ns = INT64_MAX; /* until the first message */
    int rc = bench_read_begin(b, admin, &reader);
    if (rc != DONE)
        return rc;
    atomic_store(&b->claimed, (uint64_t)bench_now_ns()); /* since when nothing came */
    wait_for(b, consume_over, &p, NULL, &cpu);
    cpu = cpu < 0 ? -1 : cpu_ns() - cpu;
    bench_read_end(reader, b);
    uint64_t n = atomic_load(&b->received);
    rc = n > 0 ? show(b, n, cpu) : DONE;
    int judged = verdict(b, n);
    if (judged == DONE && b->count && n < (uint64_t)b->count && !interrupted) {
        say("Only %" PRIu64 " of %" PRId64 " messages came.", n, b->count);
        judged = PARTIAL;
    }
    return rc == DONE ? judged : rc;
}

int cmd_bench_consume(const struct call *c)
{
    static struct bench b;
    struct cmq_admin *admin;
    b.c = c;
    b.name = "consume";
    pthread_mutex_init(&b.lock, NULL);
    if (!options(&b))
        return USAGE;
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    rc = topic_begin(&b, admin, false);
    if (rc == DONE) {
        catch_signals();
        rc = topic_end(&b, admin, consume(&b, admin));
    }
    cmq_admin_free(admin);
    return rc;
}
