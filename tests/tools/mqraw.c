/* mqraw.c - speaks RocketMQ's protocol from a shell script: blocking, one connection, nothing clever.
 *
 *   mqraw HOST:PORT call CODE [key=value ...] [-b BODY]   prints "code N remark", the ext fields, the body
 *   mqraw HOST:PORT send TOPIC N PREFIX [WINDOW [LEVEL]]  sends N messages PREFIX-0 ..., delayed by LEVEL; prints "ok BODY QUEUE OFFSET" per
 *                                                         SUCCESS, else "no CODE REMARK"
 *   mqraw HOST:PORT read TOPIC QUEUES                     pulls everything; prints "BODY QUEUE OFFSET"
 *   mqraw HOST:PORT hold N                                keeps N connections open until it is killed; prints "held"
 * WINDOW sends are on their way at once (default 1). Exit status: 0; 1 when an answer of call was not SUCCESS; 2 usage; 3 the connection
 * broke, and what was printed until then counts. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol/codes.h"
#include "common/protocol/command.h"
#include "common/protocol/message.h"

enum { EXT_MAX = 32, PULL_MSGS = 32, TEXT_MAX = 64 };

static int fd;
static struct buf frame;
static struct arena arena;

static void gone(const char *what)
{
    fflush(stdout);
    fprintf(stderr, "mqraw: %s: %s\n", what, errno ? strerror(errno) : "closed");
    exit(3);
}

static void dial(char *at)
{
    char *colon = strrchr(at, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (colon == NULL)
        exit(2);
    *colon = 0;
    if (getaddrinfo(at, colon + 1, &hints, &found) != 0)
        gone("address");
    fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        gone("connect");
    freeaddrinfo(found);
}

static void tell(const struct command *cmd)
{
    struct buf out = {0};
    command_encode(cmd, &out);
    for (size_t at = 0; at < out.n;) {
        ssize_t n = write(fd, out.p + at, out.n - at);
        if (n <= 0)
            gone("write");
        at += (size_t)n;
    }
    buf_free(&out);
}

static void take(uint8_t *to, size_t n)
{
    while (n) {
        ssize_t got = read(fd, to, n);
        if (got <= 0) {
            errno = got == 0 ? 0 : errno;
            gone("read");
        }
        to += got;
        n -= (size_t)got;
    }
}

/* The next response; requests of the other side are passed over. */
static void hear(struct command *answer)
{
    do {
        uint8_t head[4];
        take(head, sizeof head);
        size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        buf_clear(&frame);
        arena_reset(&arena);
        if (n < FRAME_MIN || n > FRAME_MAX || buf_room(&frame, n) == NULL)
            gone("frame");
        take(frame.p, n);
        frame.n = n;
        if (command_decode(buf_view(&frame), &arena, answer, NULL) != MQ_OK)
            gone("decode");
    } while (!(answer->flag & COMMAND_RESPONSE));
}

static struct command request(int32_t code, const struct ext_field *ext, uint32_t n)
{
    static int32_t opaque;
    return (struct command){.code = code, .version = MQ_VERSION_4_9_8, .language = LANGUAGE_JAVA, .opaque = ++opaque, .ext = ext, .n_ext = n};
}

static int do_call(int argc, char **argv)
{
    struct ext_field ext[EXT_MAX] = {0};
    uint32_t n = 0;
    struct command answer, cmd = request(atoi(argv[0]), ext, 0);
    for (int i = 1; i < argc && n < EXT_MAX; i++) {
        char *eq = strchr(argv[i], '=');
        if (strcmp(argv[i], "-b") == 0 && i + 1 < argc) {
            cmd.body = slice_str(argv[++i]);
        } else if (eq) {
            *eq = 0;
            ext[n++] = (struct ext_field){slice_str(argv[i]), slice_str(eq + 1)};
        }
    }
    cmd.n_ext = n;
    tell(&cmd);
    hear(&answer);
    printf("code %d %.*s\n", answer.code, SLICE_ARG(answer.remark));
    for (uint32_t i = 0; i < answer.n_ext; i++)
        printf("%.*s=%.*s\n", SLICE_ARG(answer.ext[i].key), SLICE_ARG(answer.ext[i].value));
    if (answer.body.n)
        printf("%.*s\n", SLICE_ARG(answer.body));
    return answer.code == RES_SUCCESS ? 0 : 1;
}

static void send_one(const char *topic, const char *body, int queue, const char *level)
{
    char id[TEXT_MAX], props[TEXT_MAX];
    props[0] = 0;
    if (level)
        snprintf(props, sizeof props, PROP_DELAY "\1%s", level);
    snprintf(id, sizeof id, "%d", queue);
    const struct ext_field ext[] = {{SLICE_LIT("a"), SLICE_LIT("raw")}, {SLICE_LIT("b"), slice_str(topic)}, {SLICE_LIT("c"), SLICE_LIT("TBW102")},
                                    {SLICE_LIT("d"), SLICE_LIT("4")}, {SLICE_LIT("e"), slice_str(id)}, {SLICE_LIT("f"), SLICE_LIT("0")},
                                    {SLICE_LIT("g"), SLICE_LIT("1700000000000")}, {SLICE_LIT("h"), SLICE_LIT("0")}, {SLICE_LIT("i"), slice_str(props)},
                                    {SLICE_LIT("j"), SLICE_LIT("0")}, {SLICE_LIT("k"), SLICE_LIT("false")}};
    struct command cmd = request(REQ_SEND_MESSAGE_V2, ext, sizeof ext / sizeof *ext);
    cmd.body = slice_str(body);
    tell(&cmd);
}

static int do_send(int argc, char **argv)
{
    long n = atol(argv[1]), window = argc > 3 ? atol(argv[3]) : 1;
    char body[512];
    for (long sent = 0, heard = 0; heard < n;) {
        struct command answer;
        struct slice queue = {0}, off = {0};
        for (; sent < n && sent - heard < window; sent++) {
            snprintf(body, sizeof body, "%.400s-%ld", argv[2], sent);
            send_one(argv[0], body, (int)(sent % 4), argc > 4 ? argv[4] : NULL);
        }
        hear(&answer);
        command_ext(&answer, "queueId", &queue);
        command_ext(&answer, "queueOffset", &off);
        if (answer.code == RES_SUCCESS)
            printf("ok %s-%d %.*s %.*s\n", argv[2], answer.opaque - 1, SLICE_ARG(queue), SLICE_ARG(off));
        else
            printf("no %d %.*s\n", answer.code, SLICE_ARG(answer.remark));
        fflush(stdout);
        heard++;
    }
    return 0;
}

static void read_queue(const char *topic, int queue)
{
    char id[TEXT_MAX], from[TEXT_MAX], max[TEXT_MAX];
    for (int64_t off = 0;;) {
        struct command answer;
        struct slice next = {0}, rest;
        struct message m;
        int64_t to = off;
        snprintf(id, sizeof id, "%d", queue);
        snprintf(from, sizeof from, "%lld", (long long)off);
        snprintf(max, sizeof max, "%d", PULL_MSGS);
        const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), SLICE_LIT("raw")}, {SLICE_LIT("topic"), slice_str(topic)},
                                        {SLICE_LIT("queueId"), slice_str(id)}, {SLICE_LIT("queueOffset"), slice_str(from)},
                                        {SLICE_LIT("maxMsgNums"), slice_str(max)}, {SLICE_LIT("sysFlag"), SLICE_LIT("4")},
                                        {SLICE_LIT("commitOffset"), SLICE_LIT("0")}, {SLICE_LIT("suspendTimeoutMillis"), SLICE_LIT("0")},
                                        {SLICE_LIT("subscription"), SLICE_LIT("*")}, {SLICE_LIT("subVersion"), SLICE_LIT("0")}};
        struct command cmd = request(REQ_PULL_MESSAGE, ext, sizeof ext / sizeof *ext);
        tell(&cmd);
        hear(&answer);
        for (rest = answer.body; rest.n && message_decode(rest, true, &m) == MQ_OK; rest = slice_from(rest, m.size))
            printf("%.*s %d %lld\n", SLICE_ARG(m.body), m.queue_id, (long long)m.queue_off);
        if (rest.n)
            gone("record");
        command_ext(&answer, "nextBeginOffset", &next);
        slice_i64(next, &to);
        if (answer.code != RES_SUCCESS && answer.code != RES_PULL_OFFSET_MOVED && answer.code != RES_PULL_NOT_FOUND) {
            fprintf(stderr, "mqraw: pull answers %d %.*s\n", answer.code, SLICE_ARG(answer.remark));
            exit(1);
        }
        if (to <= off) /* the end; a queue whose head was deleted begins further on */
            return;
        off = to;
    }
}

static int do_read(char **argv)
{
    int queues = atoi(argv[1]);
    for (int q = 0; q < queues; q++)
        read_queue(argv[0], q);
    return 0;
}

static int do_hold(const char *at, int n)
{
    for (int i = 0; i < n; i++) {
        char copy[128];
        snprintf(copy, sizeof copy, "%s", at);
        dial(copy);
    }
    printf("held\n");
    fflush(stdout);
    pause();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[2], "call") == 0) {
        dial(argv[1]);
        return do_call(argc - 3, argv + 3);
    }
    if (argc > 5 && strcmp(argv[2], "send") == 0) {
        dial(argv[1]);
        return do_send(argc - 3, argv + 3);
    }
    if (argc == 5 && strcmp(argv[2], "read") == 0) {
        dial(argv[1]);
        return do_read(argv + 3);
    }
    if (argc == 4 && strcmp(argv[2], "hold") == 0)
        return do_hold(argv[1], atoi(argv[3]));
    fprintf(stderr, "usage: mqraw HOST:PORT call CODE [key=value ...] [-b BODY] | send TOPIC N PREFIX [WINDOW [LEVEL]] | read TOPIC QUEUES | hold N\n");
    return 2;
}
