/* nsload.c - a load generator for RocketMQ name servers that favours none: it speaks the wire protocol, knows no server's code.
 * Build: cc -O2 -Wall -Wextra -o nsload nsload.c -lz          (Linux; all traffic goes to 127.0.0.1; one thread, one epoll)
 *
 *   nsload -p PORT [-P pid] [-B brokers] [-T topics] [-k brokers a topic; 0: all] [-q queues a topic and broker] [-z]
 *          [-R rounds] [-o registrations at a time] [-c connections] [-w outstanding each] [-d seconds] [-r routes per s]
 *          [-g registrations per s] [-C changes] [-S phase,phase ...]
 *
 * It plays the brokers broker-0 ... of one cluster, each a master with its own connection that stays open, with -T topics spread
 * evenly (topic t is on broker t and every (B/k)-th after it), and then the clients. Phases, in this order:
 *   first      each broker registers (103) in full, as when the name server was started anew
 *   same       -R rounds of the same registrations with the same data version: what Apache's brokers do every 30 s by default
 *   query      -R rounds of QUERY_DATA_VERSION (322) with that version: what they do instead with forceRegister=false
 *   version    -R rounds with a new data version and the same topics
 *   all        one round with a new version and other queue numbers in each topic
 *   routes     -c connections with -w outstanding GET_ROUTEINFO_BY_TOPIC (105) each, topics at random, -d seconds after one of warm-up
 *   mixed      105 at -r per s, each due at its time and measured from it, while brokers register with a new version at -g per s
 *   change     -C times: one broker registers one new topic (as brokers do when a topic is made: the body has only that one), then its
 *              route is asked for on another connection; latency is that of both together
 * -z: bodies are compressed (compressedRegister=true; Apache's default is false).
 *
 * One line a phase: requests per s, latency, CPU us of -P per request (user + system of the whole process; in `mixed` of a route
 * and its share of the registrations together), its memory (VmRSS) at the end of the phase in MB, bytes of a reply's body.
 * Each reply's code is looked at, and of routes whether they name as many brokers as they must: the exit status is 1 when one
 * does not. In `same` ... `all` no more than -o registrations are on their way at a time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define SEC 1000000000ull
enum { WINDOW_MAX = 256, CHECKED = 2000 };

static struct {
    int port, brokers, topics, spread, queues, rounds, at_once, conns, window, changes;
    bool packed;
    double secs, rate, regs;
    pid_t pid;
    const char *phases;
} o = {.brokers = 200, .topics = 10000, .spread = 4, .queues = 8, .rounds = 3, .at_once = 4, .conns = 16, .window = 16, .changes = 100,
       .secs = 3, .rate = 2000, .regs = 20, .phases = "first,same,query,version,all,routes,mixed,change"};

static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "nsload: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    exit(2);
}

/* ---- time, the server's process, latencies ---------------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) ? 0 : (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}
static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
static uint64_t server_cpu_ns(void)
{
    clockid_t id;
    if (o.pid == 0)
        return 0;
    if (clock_getcpuclockid(o.pid, &id) != 0)
        die("process %d is gone", (int)o.pid);
    return clock_ns(id);
}
static double server_rss_mb(void)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)o.pid);
    FILE *f = o.pid ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kb / 1024;
}

static struct { uint64_t *ns; size_t n, cap; } lat;
static void lat_add(uint64_t ns)
{
    if (lat.n == lat.cap && (lat.ns = realloc(lat.ns, (lat.cap = lat.cap ? lat.cap * 2 : 65536) * sizeof *lat.ns)) == NULL)
        die("no memory");
    lat.ns[lat.n++] = ns;
}
static int by_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}
static double lat_us(double q) { return lat.n ? (double)lat.ns[(size_t)(q * (double)(lat.n - 1))] / 1000 : 0; }

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

struct text { char *p; size_t n, cap; };
static char *room(struct text *t, size_t n)
{
    if (t->n + n > t->cap && (t->p = realloc(t->p, t->cap = (t->n + n) * 3 / 2)) == NULL)
        die("no memory");
    return t->p + t->n;
}
static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    char *at = room(t, 1024);
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(at, 1024, fmt, ap);
    va_end(ap);
}
static void add_u32(struct text *t, uint32_t v)
{
    v = htonl(v);
    memcpy(room(t, 4), &v, 4);
    t->n += 4;
}
static void add_bytes(struct text *t, const char *p, size_t n)
{
    memcpy(room(t, n), p, n);
    t->n += n;
}
static uint32_t rd32(const void *p) { uint32_t x; memcpy(&x, p, 4); return ntohl(x); }

/* ---- connections ------------------------------------------------------------------------------------------------ */

struct conn {
    int fd, broker;
    struct text in, out;
    size_t sent;                   /* bytes of `out` that are on their way */
    bool waits;                    /* for room in the socket */
    uint64_t began[WINDOW_MAX];    /* by the low byte of the opaque; 0: free */
    int want[WINDOW_MAX];          /* brokers that the route must name; 0: not looked at */
};
static int ep;
static struct conn *brokers, *clients;
static int64_t version = 1; /* counter of all brokers' data version */
static int queues_now;
static struct { uint64_t n, bad, body; } got; /* replies since the phase began */
static uint32_t checked;

static void conn_open(struct conn *c, int broker)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->broker = broker;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("127.0.0.1:%d: %s", o.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

static void conn_flush(struct conn *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            die("send: %s", strerror(errno));
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    bool left = c->sent < c->out.n;
    if (left != c->waits)
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){.events = EPOLLIN | (left ? EPOLLOUT : 0), .data.ptr = c});
    c->waits = left;
    if (left)
        return;
    c->sent = c->out.n = 0;
    if (c->out.cap > 1 << 16) { /* 200 brokers with bodies of a megabyte */
        free(c->out.p);
        c->out = (struct text){0};
    }
}

static void reply(struct conn *c, const char *head, size_t head_n, size_t body_n)
{
    char text[2048];
    size_t n = head_n < sizeof text - 1 ? head_n : sizeof text - 1;
    memcpy(text, head, n);
    text[n] = 0;
    const char *code = strstr(text, "\"code\":"), *opaque = strstr(text, "\"opaque\":");
    if (code == NULL || opaque == NULL)
        die("a reply without code or opaque: %s", text);
    unsigned slot = (unsigned)atoi(opaque + 9) % WINDOW_MAX;
    if (c->began[slot] == 0)
        return; /* a request of the server's own */
    lat_add(now_ns() - c->began[slot]);
    c->began[slot] = 0;
    got.n++;
    got.body += body_n;
    bool bad = atoi(code + 7) != 0;
    if (!bad && c->want[slot]) {
        const char *p = head + head_n, *end = p + body_n;
        int queues = 0;
        while ((p = memmem(p, (size_t)(end - p), "\"writeQueueNums\":", 17)) != NULL)
            queues++, p += 17;
        bad = queues != c->want[slot];
    }
    if (bad && got.bad++ == 0)
        fprintf(stderr, "nsload: wrong reply: %s %.*s\n", text, (int)(body_n < 300 ? body_n : 300), head + head_n);
}

static void conn_read(struct conn *c)
{
    ssize_t n = recv(c->fd, room(&c->in, 1 << 18), 1 << 18, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("the server closed a connection: %s", n ? strerror(errno) : "end");
    if (n > 0)
        c->in.n += (size_t)n;
    size_t at = 0;
    while (c->in.n - at >= 8) {
        size_t len = rd32(c->in.p + at), head = rd32(c->in.p + at + 4) & 0xffffff;
        if (len < 4 || head > len - 4)
            die("a malformed frame");
        if (c->in.n - at < 4 + len)
            break;
        reply(c, c->in.p + at + 8, head, len - 4 - head);
        at += 4 + len;
    }
    memmove(c->in.p, c->in.p + at, c->in.n -= at);
}

static void turn(int timeout_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(ep, ev, 256, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;
        if (ev[i].events & EPOLLOUT)
            conn_flush(c);
        if (ev[i].events & ~(uint32_t)EPOLLOUT)
            conn_read(c);
    }
}

/* A slot that is free, or -1. */
static int slot_of(const struct conn *c, int window)
{
    for (int i = 0; i < window; i++)
        if (c->began[i] == 0)
            return i;
    return -1;
}

static void request(struct conn *c, int slot, int code, uint64_t began, const struct text *body, const char *fields)
{
    static int next;
    struct text *out = &c->out;
    size_t at = out->n;
    next = (next + 1) % 1000000;
    add_u32(out, 0);
    add_u32(out, 0);
    add(out, "{\"code\":%d,\"extFields\":{%s},\"flag\":0,\"language\":\"JAVA\",\"opaque\":%d,\"serializeTypeCurrentRPC\":\"JSON\",\"version\":409}",
        code, fields, next * WINDOW_MAX + slot);
    size_t body_n = body ? body->n : 0;
    uint32_t len = htonl((uint32_t)(out->n - at - 4 + body_n)), head = htonl((uint32_t)(out->n - at - 8));
    memcpy(out->p + at, &len, 4);
    memcpy(out->p + at + 4, &head, 4);
    if (body_n)
        add_bytes(out, body->p, body_n);
    c->began[slot] = began;
}

/* ---- what is asked ---------------------------------------------------------------------------------------------- */

static void topic_name(char *out, int t) { sprintf(out, "nsload_topic_of_usual_length_%05d", t); }
static bool topic_on(int t, int broker)
{
    int step = o.brokers / o.spread, d = (broker - t % o.brokers + o.brokers) % o.brokers;
    return d % step == 0 && d / step < o.spread;
}
static void add_topic(struct text *b, const char *name, bool comma)
{
    if (o.packed) {
        char line[256];
        int n = sprintf(line, "%s %d %d 6 SINGLE_TAG", name, queues_now, queues_now);
        add_u32(b, (uint32_t)n);
        add_bytes(b, line, (size_t)n);
    } else
        add(b, "%s\"%s\":{\"order\":false,\"perm\":6,\"readQueueNums\":%d,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"%s\",\"topicSysFlag\":0,"
               "\"writeQueueNums\":%d}", comma ? "," : "", name, queues_now, name, queues_now);
}

static void add_version(struct text *b) { add(b, "{\"counter\":%lld,\"timestamp\":1700000000000}", (long long)version); }

/* Registration of all the broker's topics, or of `only`. */
static void ask_register(struct conn *c, const char *only)
{
    struct text b = {0}, z = {0};
    char fields[512], name[64];
    int n = 0;

    if (o.packed) {
        struct text v = {0};
        add_version(&v);
        add_u32(&b, (uint32_t)v.n);
        add_bytes(&b, v.p, v.n);
        free(v.p);
        size_t at = b.n;
        add_u32(&b, 0);
        for (int t = 0; t < o.topics && !only; t++)
            if (topic_on(t, c->broker))
                topic_name(name, t), add_topic(&b, name, n++ > 0);
        if (only)
            add_topic(&b, only, n++ > 0);
        uint32_t count = htonl((uint32_t)n);
        memcpy(b.p + at, &count, 4);
        add_u32(&b, 2);
        add(&b, "[]");
        uLongf len = compressBound(b.n);
        z.p = malloc(len);
        if (z.p == NULL || compress2((Bytef *)z.p, &len, (const Bytef *)b.p, b.n, 9) != Z_OK)
            die("no memory");
        z.n = len;
    } else {
        add(&b, "{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{\"dataVersion\":");
        add_version(&b);
        add(&b, ",\"topicConfigTable\":{");
        for (int t = 0; t < o.topics && !only; t++)
            if (topic_on(t, c->broker))
                topic_name(name, t), add_topic(&b, name, n++ > 0);
        if (only)
            add_topic(&b, only, false);
        add(&b, "}}}");
    }
    const struct text *body = o.packed ? &z : &b;
    snprintf(fields, sizeof fields,
             "\"bodyCrc32\":\"%lu\",\"brokerAddr\":\"10.0.%d.%d:10911\",\"brokerId\":\"0\",\"brokerName\":\"broker-%d\",\"clusterName\":\"nsload\","
             "\"compressed\":\"%s\",\"haServerAddr\":\"10.0.%d.%d:10912\"",
             crc32(0, (const Bytef *)body->p, (uInt)body->n) & 0x7fffffff, c->broker / 250, c->broker % 250 + 1, c->broker, o.packed ? "true" : "false",
             c->broker / 250, c->broker % 250 + 1);
    request(c, 0, 103, now_ns(), body, fields);
    conn_flush(c);
    free(b.p);
    free(z.p);
}

static void ask_version(struct conn *c)
{
    struct text b = {0};
    char fields[256];
    add_version(&b);
    snprintf(fields, sizeof fields, "\"brokerAddr\":\"10.0.%d.%d:10911\",\"brokerId\":\"0\",\"brokerName\":\"broker-%d\",\"clusterName\":\"nsload\"",
             c->broker / 250, c->broker % 250 + 1, c->broker);
    request(c, 0, 322, now_ns(), &b, fields);
    conn_flush(c);
    free(b.p);
}

static void ask_route(struct conn *c, int slot, uint64_t began, const char *topic, int want)
{
    char fields[128];
    snprintf(fields, sizeof fields, "\"topic\":\"%s\"", topic);
    c->want[slot] = checked++ < CHECKED ? want : 0; /* counting costs more than the answer */
    request(c, slot, 105, began, NULL, fields);
}
static void random_topic(char *out)
{
    static uint64_t x = 88172645463325252ull;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    topic_name(out, (int)(x % (uint64_t)o.topics));
}

/* ---- phases ----------------------------------------------------------------------------------------------------- */

static uint64_t phase_ns, phase_cpu, total_bad;
static bool wanted(const char *name)
{
    size_t n = strlen(name);
    for (const char *p = strstr(o.phases, name); p; p = strstr(p + n, name))
        if ((p == o.phases || p[-1] == ',') && (p[n] == 0 || p[n] == ','))
            return true;
    return false;
}
static void phase_begin(void)
{
    lat.n = 0;
    memset(&got, 0, sizeof got);
    checked = 0;
    phase_cpu = server_cpu_ns();
    phase_ns = now_ns();
}
static void phase_end(const char *name)
{
    double secs = (double)(now_ns() - phase_ns) / 1e9, cpu = (double)(server_cpu_ns() - phase_cpu) / 1000;
    qsort(lat.ns, lat.n, sizeof *lat.ns, by_ns);
    printf("%-8s n=%llu per_s=%.0f p50_us=%.0f p99_us=%.0f max_us=%.0f cpu_us=%.2f rss_mb=%.1f body=%.0f\n", name, (unsigned long long)got.n,
           (double)got.n / secs, lat_us(.5), lat_us(.99), lat_us(1), got.n ? cpu / (double)got.n : 0, server_rss_mb(),
           got.n ? (double)got.body / (double)got.n : 0);
    fflush(stdout);
    total_bad += got.bad + (got.n == 0);
}
static void wait_for(uint64_t replies)
{
    uint64_t end = now_ns() + 60 * SEC;
    while (got.n < replies) {
        if (now_ns() > end)
            die("no answer for 60 s");
        turn(1000);
    }
}

/* Every broker once, no more than -o at a time. */
static void round_of(bool query)
{
    uint64_t before = got.n;
    for (int i = 0; i < o.brokers; i++) {
        if (i >= o.at_once)
            wait_for(before + (uint64_t)(i - o.at_once + 1));
        if (query)
            ask_version(&brokers[i]);
        else
            ask_register(&brokers[i], NULL);
    }
    wait_for(before + (uint64_t)o.brokers);
}
static void registrations(const char *name, int rounds, bool query, int version_step, int queue_step)
{
    if (!wanted(name))
        return;
    phase_begin();
    for (int i = 0; i < rounds; i++) {
        version += version_step;
        queues_now += queue_step;
        round_of(query);
    }
    phase_end(name);
}

static void routes_until(uint64_t end)
{
    char topic[64];
    while (now_ns() < end) {
        for (int i = 0; i < o.conns; i++) {
            struct conn *c = &clients[i];
            for (int s; !c->waits && (s = slot_of(c, o.window)) >= 0;)
                random_topic(topic), ask_route(c, s, now_ns(), topic, o.spread);
            conn_flush(c);
        }
        turn(100);
    }
}
static void drain(struct conn *c, int n)
{
    uint64_t end = now_ns() + 60 * SEC;
    for (int i = 0; i < n; i++)
        for (int s = 0; s < WINDOW_MAX; s++)
            while (c[i].began[s] != 0) {
                if (now_ns() > end)
                    die("no answer for 60 s");
                turn(100);
            }
}
static void routes(void)
{
    if (!wanted("routes"))
        return;
    phase_begin();
    routes_until(now_ns() + SEC);
    uint64_t bad = got.bad;
    phase_begin();
    checked = CHECKED; /* the warm-up looked at them */
    got.bad = bad;
    routes_until(now_ns() + (uint64_t)(o.secs * 1e9));
    phase_end("routes");
    drain(clients, o.conns);
}

static void mixed(void)
{
    char topic[64];
    int broker = 0, registered = 0, client = 0;
    if (!wanted("mixed"))
        return;
    phase_begin();
    uint64_t start = now_ns(), end = start + (uint64_t)(o.secs * 1e9), regs = 0;
    for (uint64_t k = 0, now; (now = now_ns()) < end;) {
        uint64_t due = start + (uint64_t)((double)k * 1e9 / o.rate), reg_due = start + (uint64_t)((double)regs * 1e9 / o.regs);
        if (now >= reg_due && brokers[broker].began[0] == 0) {
            version += broker == 0;
            ask_register(&brokers[broker], NULL);
            broker = (broker + 1) % o.brokers;
            registered++;
            regs++;
        }
        for (; due <= now && k < (uint64_t)1 << 40; due = start + (uint64_t)((double)++k * 1e9 / o.rate)) {
            struct conn *c = &clients[client = (client + 1) % o.conns];
            int s = slot_of(c, WINDOW_MAX);
            if (s < 0)
                break; /* it stays due */
            random_topic(topic);
            ask_route(c, s, due, topic, o.spread);
            conn_flush(c);
        }
        turn(0);
    }
    drain(clients, o.conns);
    drain(brokers, o.brokers);
    printf("         (%d registrations among them)\n", registered);
    phase_end("mixed");
}

static void change(void)
{
    if (!wanted("change"))
        return;
    phase_begin();
    size_t from = 0;
    for (int i = 0; i < o.changes; i++) {
        char name[64];
        struct conn *c = &brokers[i % o.brokers];
        uint64_t before = got.n, began = now_ns();
        sprintf(name, "nsload_new_%d_%lld", (int)getpid(), (long long)++version);
        ask_register(c, name);
        wait_for(before + 1);
        ask_route(&clients[0], 0, now_ns(), name, 1);
        conn_flush(&clients[0]);
        wait_for(before + 2);
        lat.n = from;
        lat_add(now_ns() - began);
        from = lat.n;
    }
    phase_end("change");
}

int main(int argc, char **argv)
{
    int opt;
    while ((opt = getopt(argc, argv, "p:P:B:T:k:q:zR:o:c:w:d:r:g:C:S:")) != -1)
        switch (opt) {
        case 'p': o.port = atoi(optarg); break;
        case 'P': o.pid = atoi(optarg); break;
        case 'B': o.brokers = atoi(optarg); break;
        case 'T': o.topics = atoi(optarg); break;
        case 'k': o.spread = atoi(optarg); break;
        case 'q': o.queues = atoi(optarg); break;
        case 'z': o.packed = true; break;
        case 'R': o.rounds = atoi(optarg); break;
        case 'o': o.at_once = atoi(optarg); break;
        case 'c': o.conns = atoi(optarg); break;
        case 'w': o.window = atoi(optarg); break;
        case 'd': o.secs = atof(optarg); break;
        case 'r': o.rate = atof(optarg); break;
        case 'g': o.regs = atof(optarg); break;
        case 'C': o.changes = atoi(optarg); break;
        case 'S': o.phases = optarg; break;
        default: die("unknown option; the head of nsload.c lists them");
        }
    if (o.port <= 0 || o.brokers < 1 || o.brokers > 60000 || o.topics < 1 || o.conns < 1 || o.window < 1 || o.window > WINDOW_MAX || o.at_once < 1 ||
        o.rate <= 0 || o.regs <= 0)
        die("-p PORT is needed, and figures above 0");
    if (o.spread < 1 || o.spread > o.brokers)
        o.spread = o.brokers;
    queues_now = o.queues;
    ep = epoll_create1(0);
    brokers = calloc((size_t)o.brokers, sizeof *brokers);
    clients = calloc((size_t)o.conns, sizeof *clients);
    if (ep < 0 || brokers == NULL || clients == NULL)
        die("no memory");
    for (int i = 0; i < o.brokers; i++)
        conn_open(&brokers[i], i);
    for (int i = 0; i < o.conns; i++)
        conn_open(&clients[i], -1);

    registrations("first", 1, false, 0, 0);
    registrations("same", o.rounds, false, 0, 0);
    registrations("query", o.rounds, true, 0, 0);
    registrations("version", o.rounds, false, 1, 0);
    registrations("all", 1, false, 1, 1);
    routes();
    mixed();
    change();
    return total_bad ? 1 : 0;
}
