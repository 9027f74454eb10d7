/* badpeer.c - peers as nobody wants them, for the scripts of tests/integration.
 *
 *   badpeer HOST:PORT slow TOPIC N M   N connections ask M times each for the head of queue 0 of TOPIC and read nothing; "asking", then waits
 *   badpeer HOST:PORT drip N           N connections announce a frame of 16 MiB; every second one sends a byte of it five times a second;
 *                                      "dripping", then until it is killed
 *   badpeer HOST:PORT half N BYTES     N connections send so much of a frame of 4 MiB; "halves", then waits
 *   badpeer HOST:PORT topics N         asks a broker for N topics; "made K of N" and the first refusal
 *   badpeer HOST:PORT brokers N M      registers N brokers with M topics each at a name server; "made K of N" and the first refusal
 *   badpeer HOST:PORT garbage N        N connections, one after the other, send what is no frame and wait for the end; "closed K of N"
 * Exit status: 0; 1 when a connection of garbage was not closed within five seconds; 2 usage; 3 no connection. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol/codes.h"
#include "common/protocol/command.h"

enum { CLOSE_WITHIN_MS = 5000, DRIP_US = 200000, CONNECTIONS_MAX = 60000 };

static struct addrinfo *where;

static void find(char *at)
{
    char *colon = strrchr(at, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (colon == NULL)
        exit(2);
    *colon = 0;
    if (getaddrinfo(at, colon + 1, &hints, &where) != 0)
        exit(3);
}

static int dial(void)
{
    int fd = socket(where->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, where->ai_addr, where->ai_addrlen) != 0) {
        fprintf(stderr, "badpeer: connect: %s\n", strerror(errno));
        exit(3);
    }
    return fd;
}

static void say(const char *word)
{
    printf("%s\n", word);
    fflush(stdout);
}

/* ---- who reads nothing ---- */

static void put_pull(struct buf *out, const char *topic, int32_t opaque)
{
    const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), SLICE_LIT("slow")}, {SLICE_LIT("topic"), slice_str(topic)},
                                    {SLICE_LIT("queueId"), SLICE_LIT("0")}, {SLICE_LIT("queueOffset"), SLICE_LIT("0")},
                                    {SLICE_LIT("maxMsgNums"), SLICE_LIT("32")}, {SLICE_LIT("sysFlag"), SLICE_LIT("4")},
                                    {SLICE_LIT("commitOffset"), SLICE_LIT("0")}, {SLICE_LIT("suspendTimeoutMillis"), SLICE_LIT("0")},
                                    {SLICE_LIT("subscription"), SLICE_LIT("*")}, {SLICE_LIT("subVersion"), SLICE_LIT("0")}};
    const struct command cmd = {.code = REQ_PULL_MESSAGE, .version = MQ_VERSION_4_9_8, .language = LANGUAGE_JAVA, .opaque = opaque, .ext = ext,
                                .n_ext = sizeof ext / sizeof *ext};
    command_encode(&cmd, out);
}

static int do_slow(const char *topic, int n, int pulls)
{
    struct buf all = {0};
    for (int i = 0; i < pulls; i++)
        put_pull(&all, topic, i);
    for (int i = 0; i < n; i++) {
        int fd = dial();
        fcntl(fd, F_SETFL, O_NONBLOCK);
        for (size_t at = 0; at < all.n;) { /* as much as the server and the two sockets take within a moment */
            ssize_t sent = send(fd, all.p + at, all.n - at, MSG_NOSIGNAL);
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (sent > 0)
                at += (size_t)sent;
            else if ((sent < 0 && errno != EAGAIN) || poll(&p, 1, 100) <= 0)
                break;
        }
    }
    buf_free(&all);
    say("asking");
    pause();
    return 0;
}

/* ---- who sends nearly nothing ---- */

static int do_drip(int n)
{
    static int fds[CONNECTIONS_MAX];
    if (n > CONNECTIONS_MAX)
        return 2;
    for (int i = 0; i < n; i++) {
        fds[i] = dial();
        if (send(fds[i], "\1\0\0\0\0", 5, MSG_NOSIGNAL) != 5) /* 16 MiB follow, and the first byte of the header's length is here */
            return 3;
    }
    say("dripping");
    for (;;) {
        usleep(DRIP_US);
        for (int i = 0; i < n; i += 2)
            send(fds[i], "\0", 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* who was closed meanwhile is past caring */
    }
}

/* ---- who begins what is large ---- */

static int do_half(int n, size_t bytes)
{
    static uint8_t piece[65536];
    for (int i = 0; i < n; i++) {
        static const uint8_t start[] = {0, 0x40, 0, 0, 0, 0, 0, 2};
        int fd = dial();
        bool open = send(fd, start, sizeof start, MSG_NOSIGNAL) == sizeof start;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        for (size_t at = 0; open && at < bytes;) {
            ssize_t sent = send(fd, piece, sizeof piece, MSG_NOSIGNAL);
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (sent > 0)
                at += (size_t)sent;
            else
                open = sent < 0 && errno == EAGAIN && poll(&p, 1, 500) > 0;
        }
    }
    say("halves");
    pause();
    return 0;
}

/* ---- who wants many things, one after the other ---- */

static bool read_all(int fd, uint8_t *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = recv(fd, to + at, n - at, 0);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static int32_t ask(int fd, const struct command *cmd, char remark[256]) /* the answer's code; -1: none */
{
    struct buf out = {0};
    struct arena arena = {0};
    struct command answer = {.code = -1};
    struct fault why;
    static uint8_t in[1 << 16];
    command_encode(cmd, &out);
    bool ok = send(fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n && read_all(fd, in, 4);
    size_t n = (size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3];
    ok = ok && n <= sizeof in && read_all(fd, in, n) && command_decode(slice_make(in, n), &arena, &answer, &why) == MQ_OK;
    slice_copy(answer.remark, remark, 256);
    arena_fini(&arena);
    buf_free(&out);
    return ok ? answer.code : -1;
}

struct tally { /* of requests of one kind */
    int made;
    char first[256]; /* words of the first refusal */
};

static bool ask_and_count(int fd, const struct command *cmd, struct tally *t) /* false: no answer */
{
    char remark[256];
    int32_t code = ask(fd, cmd, remark);
    t->made += code == 0;
    if (code > 0 && t->first[0] == 0)
        memcpy(t->first, remark, sizeof t->first);
    return code >= 0;
}

static int tell(const struct tally *t, int n)
{
    printf("made %d of %d\n%s\n", t->made, n, t->first);
    return 0;
}

static int do_topics(int n)
{
    struct tally t = {0};
    char name[64];
    int fd = dial();
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "topic-of-the-flood-%d", i);
        const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(name)}, {SLICE_LIT("readQueueNums"), SLICE_LIT("4")},
                                        {SLICE_LIT("writeQueueNums"), SLICE_LIT("4")}, {SLICE_LIT("perm"), SLICE_LIT("6")}};
        const struct command cmd = {.code = REQ_UPDATE_AND_CREATE_TOPIC, .version = MQ_VERSION_4_9_8, .opaque = i, .ext = ext, .n_ext = 4};
        if (!ask_and_count(fd, &cmd, &t))
            return 3;
    }
    return tell(&t, n);
}

static int do_brokers(int n, int topics)
{
    struct tally tally = {0};
    char name[64], addr[64];
    int fd = dial();
    for (int i = 0; i < n; i++) {
        struct buf body = {0};
        buf_str(&body, "{\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"timestamp\":1,\"counter\":1},\"topicConfigTable\":{");
        for (int t = 0; t < topics; t++)
            buf_printf(&body, "%s\"t%d-%d\":{\"topicName\":\"t%d-%d\",\"readQueueNums\":4,\"writeQueueNums\":4,\"perm\":6}", t ? "," : "", i, t, i, t);
        buf_str(&body, "}},\"filterServerList\":[]}");
        snprintf(name, sizeof name, "broker-%d", i);
        snprintf(addr, sizeof addr, "10.1.%d.%d:10911", i / 250, i % 250);
        const struct ext_field ext[] = {{SLICE_LIT("brokerName"), slice_str(name)}, {SLICE_LIT("brokerAddr"), slice_str(addr)},
                                        {SLICE_LIT("clusterName"), SLICE_LIT("C")}, {SLICE_LIT("haServerAddr"), SLICE_LIT("")},
                                        {SLICE_LIT("brokerId"), SLICE_LIT("0")}};
        const struct command cmd = {.code = REQ_REGISTER_BROKER, .version = MQ_VERSION_4_9_8, .opaque = i, .ext = ext, .n_ext = 5, .body = buf_view(&body)};
        bool answered = ask_and_count(fd, &cmd, &tally);
        buf_free(&body);
        if (!answered)
            return 3;
    }
    return tell(&tally, n);
}

/* ---- who sends anything ---- */

static size_t fill(uint8_t *to, size_t max, int i)
{
    static const struct slice fixed[] = {SLICE_LIT("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                         SLICE_LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
                                         SLICE_LIT("\0\0\0\7\0\0\0\3abc"),
                                         SLICE_LIT("\0\0\0\6\0\xff\xff\xff{}"),
                                         SLICE_LIT("\0\0\0\7\1\0\0\3\0\12\0"),
                                         SLICE_LIT("\0\0\0\14\0\0\0\10[[[[[[[["),
                                         SLICE_LIT("\xff\xff\xff\xff")};
    size_t kinds = sizeof fixed / sizeof *fixed, kind = (size_t)i % (kinds + 1);
    if (kind < kinds) {
        memcpy(to, fixed[kind].p, fixed[kind].n);
        return fixed[kind].n;
    }
    size_t n = 4 + (size_t)rand() % (max - 4);
    for (size_t at = 0; at < n; at++)
        to[at] = (uint8_t)rand();
    to[0] |= 2; /* a length that no frame has */
    return n;
}

static bool ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;
    while (poll(&p, 1, CLOSE_WITHIN_MS) > 0)
        if (recv(fd, &byte, 1, 0) <= 0)
            return true;
    return false;
}

static int do_garbage(int n)
{
    int closed = 0;
    srand(1);
    for (int i = 0; i < n; i++) {
        uint8_t bytes[3000];
        int fd = dial();
        send(fd, bytes, fill(bytes, sizeof bytes, i), MSG_NOSIGNAL);
        closed += ended(fd);
        close(fd);
        if (closed < i - 10) /* it takes five seconds each: that is enough to know */
            break;
    }
    printf("closed %d of %d\n", closed, n);
    return closed == n ? 0 : 1;
}

int main(int argc, char **argv)
{
    int status = 2;
    if (argc > 3)
        find(argv[1]);
    if (argc == 6 && strcmp(argv[2], "slow") == 0)
        status = do_slow(argv[3], atoi(argv[4]), atoi(argv[5]));
    else if (argc == 4 && strcmp(argv[2], "drip") == 0)
        status = do_drip(atoi(argv[3]));
    else if (argc == 5 && strcmp(argv[2], "half") == 0)
        status = do_half(atoi(argv[3]), (size_t)atoi(argv[4]));
    else if (argc == 4 && strcmp(argv[2], "topics") == 0)
        status = do_topics(atoi(argv[3]));
    else if (argc == 5 && strcmp(argv[2], "brokers") == 0)
        status = do_brokers(atoi(argv[3]), atoi(argv[4]));
    else if (argc == 4 && strcmp(argv[2], "garbage") == 0)
        status = do_garbage(atoi(argv[3]));
    else
        fprintf(stderr, "usage: badpeer HOST:PORT slow TOPIC N M | drip N | half N BYTES | topics N | brokers N M | garbage N\n");
    if (where != NULL)
        freeaddrinfo(where);
    return status;
}
