/* io_threads.c - what loops that own connections would give: io_threads LOOPS PORT FILE, until SIGTERM; loadgen is its client.
 *
 * A broker reduced to sends, on our loop and our remoting. LOOPS = 0: all on the core's loop, as the broker is. Else the core accepts and
 * gives each connection to one of LOOPS loops, each with a thread. Such a loop reads, decodes, encodes the record with its CRC, and hands over
 * what one turn brought as one batch; the core assigns places, copies, writes each turn with one pwrite, and gives the batch back; the loop
 * encodes and writes the answers. So everything leaves the core that may leave it: the best case for ioThreads.
 * Missing beside the broker: topic checks, queue units, index, long polls, statistics: all of that would stay on the core.
 * At the end: messages, and CPU time a message of the core and of the loops.
 *   I1  a batch belongs to its loop, from its post until it comes back to the core.
 * Errors end the program: it measures, it serves nobody. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "broker/processor/send_header.h"
#include "common/protocol/message.h"
#include "common/remoting/endpoint_internal.h"

enum { LOOPS_MAX = 16, QUEUES = 64, FILE_BYTES = 256 << 20, RES_OK = 0, CODE_SEND = 310 };

struct item {
    struct ticket to;
    size_t at, n; /* the record, in the batch's bytes */
    int32_t queue_id;
    int64_t queue_off, phys_off;
};
struct batch {
    struct loop_msg msg;
    struct batch *next; /* in its loop's free ones, or in the core's written ones */
    struct io *io;
    struct item *items;
    size_t n, cap;
    struct buf bytes;
};
struct io {
    struct loop *loop;
    struct endpoint ep;
    struct loop_hook hook;
    struct batch *filling, *spare;
    struct reply reply;
    pthread_t thread;
};
struct arrival {
    struct loop_msg msg;
    struct io *io;
    int fd;
};

static struct {
    struct loop *loop;
    struct loop_hook hook;
    struct buf log;          /* of this turn */
    struct batch *waiting, **last; /* whose records are in it */
    int file;
    int64_t phys_off, queue_off[QUEUES];
    uint64_t messages, batches, writes;
} core = {.last = &core.waiting};
static struct io ios[LOOPS_MAX];
static unsigned n_loops, turn;

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "io_threads: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- on the loop that owns the connection ---- */

static struct batch *filling(struct io *io)
{
    if (io->filling != NULL)
        return io->filling;
    struct batch *b = io->spare;
    if (b != NULL)
        io->spare = b->next;
    else
        must((b = calloc(1, sizeof *b)) != NULL, "memory");
    b->io = io;
    b->n = 0;
    buf_clear(&b->bytes);
    return io->filling = b;
}

static enum handled on_send(void *ctx, const struct request *rq, struct reply *out)
{
    struct io *io = ctx;
    struct send_header h;
    char bad[160];
    if (!send_header_read(rq->cmd, &h, bad))
        return (enum handled)reply_refuse(out, 1, "%s", bad);
    struct batch *b = filling(io);
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        must((b->items = realloc(b->items, b->cap * sizeof *b->items)) != NULL, "memory");
    }
    struct message m = {.queue_id = h.queue_id, .flag = h.flag, .sys_flag = h.sys_flag, .born_ms = h.born_ms, .store_ms = rq->now_ms, .topic = h.topic,
                        .body = rq->cmd->body, .properties = h.properties};
    struct item *it = &b->items[b->n++];
    *it = (struct item){.to = rq->ticket, .at = b->bytes.n, .n = message_size(&m), .queue_id = h.queue_id};
    uint8_t *at = buf_grow(&b->bytes, it->n);
    must(at != NULL, "memory");
    message_encode(&m, at);
    b->bytes.n += it->n;
    return HANDLED_LATER;
}

static void answer(struct io *io, struct batch *b)
{
    const struct host here = {.ip = {127, 0, 0, 1}, .port = 10911};
    char id[MESSAGE_ID_MAX];
    for (size_t i = 0; i < b->n; i++) {
        const struct item *it = &b->items[i];
        reply_clear(&io->reply);
        io->reply.code = RES_OK;
        message_id(&here, it->phys_off, id);
        reply_str(&io->reply, "msgId", slice_str(id));
        reply_int(&io->reply, "queueId", it->queue_id);
        reply_int(&io->reply, "queueOffset", it->queue_off);
        io->ep.outbox.finish(io->ep.outbox.ctx, &it->to, &io->reply);
    }
    b->next = io->spare;
    io->spare = b;
}

static void came_back(struct loop_msg *m)
{
    struct batch *b = CONTAINER_OF(m, struct batch, msg);
    answer(b->io, b);
}

/* ---- on the core ---- */

static void take(struct batch *b)
{
    core.batches++;
    for (size_t i = 0; i < b->n; i++) {
        struct item *it = &b->items[i];
        uint8_t *record = b->bytes.p + it->at;
        it->queue_off = core.queue_off[(uint32_t)it->queue_id % QUEUES]++;
        it->phys_off = core.phys_off;
        core.phys_off += (int64_t)it->n;
        message_patch_place(record, it->queue_off, it->phys_off, loop_now_ms(core.loop));
    }
    core.messages += b->n;
    if (n_loops > 0) { /* records from several batches: one write */
        uint8_t *at = buf_grow(&core.log, b->bytes.n);
        must(at != NULL, "memory");
        memcpy(at, b->bytes.p, b->bytes.n);
        core.log.n += b->bytes.n;
    }
    b->next = NULL;
    *core.last = b;
    core.last = &b->next;
}

static void handed_over(struct loop_msg *m) { take(CONTAINER_OF(m, struct batch, msg)); }

static void write_turn(void *arg)
{
    static off_t at;
    (void)arg;
    if (n_loops == 0 && ios[0].filling != NULL) {
        take(ios[0].filling);
        ios[0].filling = NULL;
    }
    if (core.waiting == NULL)
        return;
    const struct buf *from = n_loops ? &core.log : &core.waiting->bytes;
    must(pwrite(core.file, from->p, from->n, at) == (ssize_t)from->n, "pwrite");
    at = at + (off_t)from->n > FILE_BYTES ? 0 : at + (off_t)from->n;
    core.writes++;
    buf_clear(&core.log);
    struct batch *b = core.waiting;
    core.waiting = NULL;
    core.last = &core.waiting;
    while (b != NULL) {
        struct batch *next = b->next;
        b->msg = (struct loop_msg){.fn = came_back};
        if (n_loops)
            loop_post(b->io->loop, &b->msg);
        else
            answer(b->io, b);
        b = next;
    }
}

static void end_of_turn(void *arg) /* of a loop: what the turn brought goes to the core at once */
{
    struct io *io = arg;
    struct batch *b = io->filling;
    if (b == NULL)
        return;
    io->filling = NULL;
    b->msg = (struct loop_msg){.fn = handed_over};
    loop_post(core.loop, &b->msg);
}

/* ---- connections, beginning and end ---- */

static void adopt(struct loop_msg *m)
{
    struct arrival *a = CONTAINER_OF(m, struct arrival, msg);
    struct peer peer = {.addr = "loadgen"};
    must(conn_new(&a->io->ep, a->fd, &peer, false) != NULL, "memory");
    free(a);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    int got = accept4((int)fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (got < 0)
        return;
    setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct arrival *a = calloc(1, sizeof *a);
    must(a != NULL, "memory");
    *a = (struct arrival){.msg.fn = adopt, .io = &ios[n_loops ? turn++ % n_loops : 0], .fd = got};
    if (n_loops)
        loop_post(a->io->loop, &a->msg);
    else
        adopt(&a->msg);
}

static void *run(void *arg)
{
    struct io *io = arg;
    loop_run(io->loop);
    return NULL;
}

static int64_t cpu_ns(clockid_t of)
{
    struct timespec t;
    must(clock_gettime(of, &t) == 0, "clock");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_end(void *arg)
{
    int64_t loops = 0, mine = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    (void)arg;
    for (unsigned i = 0; i < n_loops; i++) {
        clockid_t of;
        must(pthread_getcpuclockid(ios[i].thread, &of) == 0, "clock");
        loops += cpu_ns(of);
    }
    double n = core.messages ? (double)core.messages : 1, writes = core.writes ? (double)core.writes : 1;
    printf("loops=%u messages=%llu core_us=%.2f loops_us=%.2f messages_a_write=%.1f batches_a_write=%.1f\n", n_loops, (unsigned long long)core.messages,
           (double)mine / 1e3 / n, (double)loops / 1e3 / n, n / writes, (double)core.batches / writes);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc != 4 || (n_loops = (unsigned)atoi(argv[1])) > LOOPS_MAX) {
        fprintf(stderr, "io_threads LOOPS PORT FILE\n");
        return 2;
    }
    struct fault why;
    must(loop_new(&core.loop, &why) == MQ_OK, "loop");
    core.file = open(argv[3], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(core.file >= 0, argv[3]);
    for (unsigned i = 0; i < (n_loops ? n_loops : 1); i++) {
        struct io *io = &ios[i];
        const struct request_route routes[] = {{CODE_SEND, on_send, io}};
        io->loop = core.loop;
        if (n_loops)
            must(loop_new(&io->loop, &why) == MQ_OK, "loop");
        must(endpoint_init(&io->ep, io->loop, "io") == MQ_OK && endpoint_route(&io->ep, routes, 1) == MQ_OK, "endpoint");
        io->ep.frame_max = FRAME_MAX;
        io->ep.out_max = (size_t)64 << 20;
        io->ep.idle_ms = 120000;
        io->ep.frames_per_turn = 512;
        io->hook = (struct loop_hook){.fn = end_of_turn, .arg = io};
        if (n_loops)
            loop_hook_add(io->loop, TURN_STORE, &io->hook);
    }
    core.hook = (struct loop_hook){.fn = write_turn};
    loop_hook_add(core.loop, TURN_STORE, &core.hook);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(fd, 1024) == 0, "listen");
    struct event *e = event_new(loop_base(core.loop), fd, EV_READ | EV_PERSIST, on_accept, NULL);
    must(e != NULL && event_add(e, NULL) == 0, "event");
    must(loop_on_signal(core.loop, SIGTERM, on_end, NULL) == MQ_OK, "signal");
    for (unsigned i = 0; i < n_loops; i++)
        must(pthread_create(&ios[i].thread, NULL, run, &ios[i]) == 0, "thread");
    loop_run(core.loop);
    return 0;
}
