/* cluster.c - see cluster.h. Criterion runs tests in processes side by side: ports are drawn at random and tried, and a server that
 * lost the race for its port is started again on another. */
#include "tests/lib/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SERVERS_MAX = 16, STARTS_MAX = 5, UP_SECONDS = 30 };

struct server {
    char name[64];
    bool broker;
    pid_t pid; /* 0: not running */
    uint16_t port;
    char *extra;
};
struct cluster {
    char dir[128], names[512];
    struct server servers[SERVERS_MAX];
    int n;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void nap_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static bool can_bind(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0;
    if (fd >= 0)
        close(fd);
    return free;
}

uint16_t cluster_free_port(void)
{
    for (int i = 0; i < 1000; i++) {
        uint16_t r;
        if (getrandom(&r, sizeof r, 0) != sizeof r)
            break;
        uint16_t port = (uint16_t)(12000 + r % 20000); /* below the ports that connections get */
        if (can_bind(port) && can_bind((uint16_t)(port - 2)) && can_bind((uint16_t)(port + 1)))
            return port;
    }
    fprintf(stderr, "cluster: no free port\n");
    return 0;
}

/* ---- a request by hand: independent of the code under test ---- */

static int connect_to(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool name_server_lists(uint16_t port, const char *text)
{
    static const char header[] = "{\"code\":106,\"flag\":0,\"language\":\"OTHER\",\"opaque\":1,\"version\":409}";
    uint8_t frame[256], in[65536];
    uint32_t n = sizeof header - 1, lengths[2] = {htonl(n + 4), htonl(n)};
    bool found = false;
    int fd = connect_to(port);
    if (fd < 0)
        return false;
    memcpy(frame, lengths, 8);
    memcpy(frame + 8, header, n);
    size_t got = 0;
    if (write(fd, frame, n + 8) == (ssize_t)(n + 8)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (!found && got < sizeof in - 1 && poll(&p, 1, 1000) == 1) {
            ssize_t k = read(fd, in + got, sizeof in - 1 - got);
            if (k <= 0)
                break;
            got += (size_t)k;
            found = memmem(in, got, text, strlen(text)) != NULL;
            if (got >= 4 && got >= 4 + (size_t)(in[0] << 24 | in[1] << 16 | in[2] << 8 | in[3]))
                break;
        }
    }
    close(fd);
    return found;
}

/* ---- processes ---- */

struct cluster *cluster_new(void)
{
    struct cluster *c = calloc(1, sizeof *c);
    const char *base = getenv("TMPDIR");
    if (c == NULL)
        return NULL;
    snprintf(c->dir, sizeof c->dir, "%.100s/cluster.XXXXXX", base ? base : "/tmp");
    if (mkdtemp(c->dir) == NULL) {
        perror("cluster: mkdtemp");
        free(c);
        return NULL;
    }
    return c;
}

static struct server *find(struct cluster *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->servers[i].name, name) == 0)
            return &c->servers[i];
    return NULL;
}

static bool write_config(const struct cluster *c, const struct server *s)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.conf", c->dir, s->name);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        return false;
    fprintf(f, "listenPort=%u\nbindAddress=127.0.0.1\n", s->port);
    if (s->broker)
        fprintf(f,
                "brokerName=%s\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\nhaListenPort=%u\nnamesrvAddr=%s\nstorePathRootDir=%s/%s\n"
                "mappedFileSizeCommitLog=16777216\nmaxHashSlotNum=10000\nmaxIndexNum=40000\n",
                s->name, s->port + 1u, c->names, c->dir, s->name);
    else
        fprintf(f, "kvConfigPath=%s/%s.kv.json\n", c->dir, s->name);
    fputs(s->extra ? s->extra : "", f);
    return fclose(f) == 0;
}

static bool launch(const struct cluster *c, struct server *s)
{
    const char *out = getenv("OUT");
    char exe[512], conf[256], log[256];
    snprintf(exe, sizeof exe, "%s/%s", out ? out : "build/debug", s->broker ? "mqbroker" : "mqnamesrv");
    snprintf(conf, sizeof conf, "%s/%s.conf", c->dir, s->name);
    snprintf(log, sizeof log, "%s/%s.log", c->dir, s->name);
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid < 0) {
        s->pid = 0;
        return false;
    }
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(126);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666), null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(exe, exe, "-c", conf, (char *)NULL);
        perror(exe);
        _exit(127);
    }
    return true;
}

static bool is_up(const struct cluster *c, const struct server *s)
{
    int fd = connect_to(s->port);
    if (fd < 0)
        return false;
    close(fd);
    char addr[32];
    snprintf(addr, sizeof addr, "127.0.0.1:%u\"", s->port);
    for (int i = 0; s->broker && i < c->n; i++)
        if (!c->servers[i].broker && c->servers[i].pid != 0 && !name_server_lists(c->servers[i].port, addr))
            return false;
    return true;
}

static bool wait_up(const struct cluster *c, struct server *s)
{
    int64_t due = now_ms() + UP_SECONDS * 1000;
    while (now_ms() < due) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return false;
        }
        if (is_up(c, s))
            return true;
        nap_ms(10);
    }
    return false;
}

static void reap(struct server *s, int signo)
{
    if (s->pid == 0)
        return;
    kill(s->pid, signo);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

static void show_log(const struct cluster *c, const struct server *s)
{
    char path[256], line[1024];
    snprintf(path, sizeof path, "%s/%s.log", c->dir, s->name);
    FILE *f = fopen(path, "re");
    fprintf(stderr, "cluster: %s does not come up; its log:\n", s->name);
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        fputs(line, stderr);
    if (f != NULL)
        fclose(f);
}

static uint16_t start(struct cluster *c, const char *name, bool broker, const char *extra)
{
    if (c->n == SERVERS_MAX)
        return 0;
    struct server *s = &c->servers[c->n];
    *s = (struct server){.broker = broker, .extra = extra ? strdup(extra) : NULL};
    snprintf(s->name, sizeof s->name, "%s", name);
    for (int i = 0; i < STARTS_MAX; i++) {
        s->port = cluster_free_port();
        if (s->port == 0 || !write_config(c, s) || !launch(c, s))
            break;
        if (wait_up(c, s)) {
            c->n++;
            if (!broker)
                snprintf(c->names + strlen(c->names), sizeof c->names - strlen(c->names), "%s127.0.0.1:%u", c->names[0] ? ";" : "", s->port);
            return s->port;
        }
        reap(s, SIGKILL);
    }
    show_log(c, s);
    free(s->extra);
    return 0;
}

uint16_t cluster_namesrv(struct cluster *c, const char *name) { return start(c, name, false, NULL); }
uint16_t cluster_broker(struct cluster *c, const char *name, const char *extra) { return start(c, name, true, extra); }
const char *cluster_names(const struct cluster *c) { return c->names; }
const char *cluster_dir(const struct cluster *c) { return c->dir; }

static bool signal_to(struct cluster *c, const char *name, int signo)
{
    struct server *s = find(c, name);
    return s != NULL && s->pid != 0 && kill(s->pid, signo) == 0;
}

bool cluster_pause(struct cluster *c, const char *name) { return signal_to(c, name, SIGSTOP); }
bool cluster_resume(struct cluster *c, const char *name) { return signal_to(c, name, SIGCONT); }

bool cluster_kill(struct cluster *c, const char *name)
{
    struct server *s = find(c, name);
    bool ran = s != NULL && s->pid != 0;
    if (ran)
        reap(s, SIGKILL);
    return ran;
}

int cluster_stop(struct cluster *c, const char *name)
{
    struct server *s = find(c, name);
    int status;
    if (s == NULL || s->pid == 0 || kill(s->pid, SIGTERM) != 0 || waitpid(s->pid, &status, 0) != s->pid)
        return -1;
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool cluster_restart(struct cluster *c, const char *name)
{
    struct server *s = find(c, name);
    if (s == NULL)
        return false;
    reap(s, SIGKILL);
    if (launch(c, s) && wait_up(c, s))
        return true;
    show_log(c, s);
    return false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void cluster_free(struct cluster *c)
{
    if (c == NULL)
        return;
    for (int i = c->n; i-- > 0;) {
        reap(&c->servers[i], SIGKILL);
        free(c->servers[i].extra);
    }
    if (getenv("CLUSTER_KEEP") == NULL)
        nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    else
        fprintf(stderr, "kept: %s\n", c->dir);
    free(c);
}
