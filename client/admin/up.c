/* up.c - cmq up: a cluster for development, in the foreground.
 *
 *   folder -> ports -> name servers listen -> brokers registered everywhere -> tell -> wait -> brokers stop -> name servers stop -> folder gone
 *
 * All signals that can end us are blocked from the first line and waited for, so there is no moment in which a Ctrl-C leaves a process or a
 * folder behind; libcmq's threads inherit the mask. "Ready" is what a client sees: each name server lists each broker.
 * A broker takes its port, the one 2 below (old clients) and the one above (slaves). Ports that the user did not choose may be taken by
 * somebody else between our look and the server's: then the next ones are tried. (test: integration/cmq.sh) */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "client/admin/out.h"
#include "client/admin/servers.h"
#include "client/admin/talk.h"
#include "common/base/clock.h"

enum { NAMESRVS_MAX = 4, GROUPS_MAX = 8, NAMESRV_PORT = 9876, BROKER_PORT = 10911, START_MS = 15000, STOP_MS = 20000, TRIES = 5 };
enum { TEMPORARY_LOG_FILE = 64 << 20 }; /* bytes, allocated at once; a folder that stays has Apache's 1 GiB, which cannot be changed later */

struct cluster {
    const struct call *c;
    char dir[PATH_MAX];
    bool temporary;
    int n_namesrvs, n_brokers;
    struct server namesrv[NAMESRVS_MAX], broker[GROUPS_MAX];
    char addrs[NAMESRVS_MAX * 24];
    int64_t born_us;
    sigset_t ends, waits; /* signals that end us; those and SIGCHLD */
};
enum start { STARTED, RETRY, FAILED, STOPPED };

/* ---- folder and settings ---- */

static bool choose_folder(struct cluster *k)
{
    const char *dir = k->c->opt[OPT_DIR], *tmp = getenv("TMPDIR");
    if (dir) {
        if (folder_make(dir) && realpath(dir, k->dir) && folder_lock(k->dir))
            return true;
        if (errno == EWOULDBLOCK)
            complain(k->c, "another cmq up runs in %s.", k->dir);
        else
            complain(k->c, "cannot use folder %s: %s", dir, strerror(errno));
        return false;
    }
    int n = snprintf(k->dir, sizeof k->dir, "%s/cmq-up-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    if (n < 0 || n >= (int)sizeof k->dir || mkdtemp(k->dir) == NULL) {
        complain(k->c, "cannot make a temporary folder in %s: %s", tmp && tmp[0] == '/' ? tmp : "/tmp", strerror(errno));
        return false;
    }
    k->temporary = true;
    return true;
}

static void put_value(FILE *f, const char *key, const char *value, const char *below)
{
    fprintf(f, "%s=", key);
    for (; *value; value++)
        fprintf(f, *value == '\\' ? "\\\\" : "%c", *value);
    fprintf(f, "%s\n", below);
}

static bool write_settings(const struct cluster *k, const struct server *s)
{
    const char *set;
    if (!folder_make(s->dir))
        return false;
    FILE *f = fopen(s->conf, "we");
    if (f == NULL)
        return false;
    fprintf(f, "# made by cmq up, anew at each start\nlistenPort=%d\nbindAddress=127.0.0.1\n", s->port);
    if (!s->is_broker) {
        put_value(f, "kvConfigPath", s->dir, "/kvConfig.json");
    } else {
        fprintf(f, "brokerClusterName=DefaultCluster\nbrokerName=%s\nbrokerId=0\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\n", s->name);
        fprintf(f, "namesrvAddr=%s\nregisterNameServerPeriod=10000\n", k->addrs);
        put_value(f, "storePathRootDir", s->dir, "/store");
        put_value(f, "storePathCommitLog", s->dir, "/store/commitlog");
        if (k->temporary)
            fprintf(f, "mappedFileSizeCommitLog=%d\n", TEMPORARY_LOG_FILE);
        for (int at = 0; (set = call_next(k->c, OPT_SET, &at)) != NULL;)
            fprintf(f, "%s\n", set);
    }
    bool bad = ferror(f) != 0;
    return fclose(f) == 0 && !bad;
}

static bool place(struct cluster *k, struct server *s, const char *file)
{
    int n = snprintf(s->dir, sizeof s->dir, "%s/%s", k->dir, s->name);
    int m = snprintf(s->conf, sizeof s->conf, "%s/%s/%s.properties", k->dir, s->name, file);
    int l = snprintf(s->log, sizeof s->log, "%s/%s/%s.log", k->dir, s->name, file);
    return n > 0 && m > 0 && l > 0 && n < (int)sizeof s->dir && m < (int)sizeof s->conf && l < (int)sizeof s->log;
}

static bool broker_ports_free(int port) { return server_port_free(port - 2) && server_port_free(port) && server_port_free(port + 1); }

/* The first n-th free ports from `from` on, `step` apart. fixed: exactly those. */
static bool choose_ports(struct server *s, int n, int from, int step, bool fixed)
{
    int port = from;
    for (int i = 0; i < n; i++, port += step) {
        while (!fixed && port < 65000 && !(step > 1 ? broker_ports_free(port) : server_port_free(port)))
            port += step;
        if (port > 65530)
            return false;
        s[i].port = port;
    }
    return true;
}

static bool lay_out(struct cluster *k, int64_t port, int try)
{
    bool ok = true;
    size_t n = 0;
    int shift = try * 40;
    ok = choose_ports(k->namesrv, k->n_namesrvs, port ? (int)port : NAMESRV_PORT + shift, 1, port != 0) &&
         choose_ports(k->broker, k->n_brokers, port ? (int)port + 12 : BROKER_PORT + shift, 10, port != 0);
    k->addrs[0] = 0;
    for (int i = 0; i < k->n_namesrvs && ok; i++) {
        struct server *s = &k->namesrv[i];
        snprintf(s->name, sizeof s->name, "namesrv-%d", i + 1);
        ok = place(k, s, "namesrv");
        n += (size_t)snprintf(k->addrs + n, sizeof k->addrs - n, "%s127.0.0.1:%d", i ? ";" : "", s->port);
    }
    for (int i = 0; i < k->n_brokers && ok; i++) {
        struct server *s = &k->broker[i];
        snprintf(s->name, sizeof s->name, "broker-%c", 'a' + i);
        s->is_broker = true;
        ok = place(k, s, "broker");
    }
    if (!ok)
        complain(k->c, "no free ports, or the folder's name is too long: %s", k->dir);
    for (int i = 0; i < k->n_namesrvs && ok; i++)
        ok = write_settings(k, &k->namesrv[i]);
    for (int i = 0; i < k->n_brokers && ok; i++)
        ok = write_settings(k, &k->broker[i]);
    if (!ok)
        complain(k->c, "cannot write to %s: %s", k->dir, strerror(errno));
    return ok;
}

/* ---- starting ---- */

static bool log_says_in_use(const struct server *s)
{
    char text[4096];
    FILE *f = fopen(s->log, "re");
    if (f == NULL)
        return false;
    if (fseek(f, -(long)sizeof text + 1, SEEK_END) != 0)
        rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    return strstr(text, strerror(EADDRINUSE)) != NULL;
}

/* After each look: has one ended, has the user had enough, is it too late? STARTED: none of it. */
static enum start pause_and_look(struct cluster *k, int64_t until_ms)
{
    struct timespec wait = {.tv_nsec = 1000000};
    int sig = sigtimedwait(&k->waits, NULL, &wait);
    if (sig > 0 && sig != SIGCHLD)
        return STOPPED;
    struct server *all[NAMESRVS_MAX + GROUPS_MAX];
    int n = 0;
    for (int i = 0; i < k->n_namesrvs; i++)
        all[n++] = &k->namesrv[i];
    for (int i = 0; i < k->n_brokers; i++)
        all[n++] = &k->broker[i];
    for (int i = 0; i < n; i++)
        if (server_reap(all[i])) {
            if (log_says_in_use(all[i]) && !k->c->opt[OPT_PORT])
                return RETRY;
            server_say_end(all[i], 12);
            return FAILED;
        }
    if (clock_mono_ms() < until_ms)
        return STARTED;
    complain(k->c, "not ready after %d s.", START_MS / 1000);
    for (int i = 0; i < n; i++)
        say("  %s (pid %d): see %s", all[i]->name, (int)all[i]->pid, all[i]->log);
    return FAILED;
}

static void count_broker(void *arg, const struct cmq_broker *b)
{
    struct cluster *k = arg;
    char addr[32];
    for (int i = 0; i < k->n_brokers; i++) {
        snprintf(addr, sizeof addr, "127.0.0.1:%d", k->broker[i].port);
        if (strcmp(b->addr, addr) == 0 && strcmp(b->broker_name, k->broker[i].name) == 0)
            k->broker[i].status |= 1 << 30; /* seen; waitpid writes over it */
    }
}

/* Does this name server list all of our brokers? */
static bool lists_all(struct cluster *k, struct cmq_admin *admin)
{
    struct cmq_error err = {0};
    bool all = true;
    for (int i = 0; i < k->n_brokers; i++)
        k->broker[i].status = 0;
    if (cmq_admin_list_brokers(admin, count_broker, k, &err) != CMQ_OK)
        return false;
    for (int i = 0; i < k->n_brokers; i++)
        all = all && k->broker[i].status != 0;
    return all;
}

static enum start wait_registered(struct cluster *k, int64_t until_ms)
{
    enum start now = STARTED;
    for (int i = 0; i < k->n_namesrvs && now == STARTED; i++) {
        struct cmq_admin *admin = NULL;
        struct cmq_error err = {0};
        struct cmq_config *cfg = cmq_config_new();
        char addr[32];
        snprintf(addr, sizeof addr, "127.0.0.1:%d", k->namesrv[i].port);
        if (cfg == NULL || cmq_config_set(cfg, "namesrvAddr", addr, &err) != CMQ_OK || cmq_admin_new(cfg, &admin, &err) != CMQ_OK) {
            complain_error(k->c, &err, NULL);
            now = FAILED;
        }
        cmq_config_free(cfg);
        while (now == STARTED && !lists_all(k, admin))
            now = pause_and_look(k, until_ms);
        cmq_admin_free(admin);
    }
    return now;
}

static enum start start_some(struct cluster *k, struct server *s, int n, const char *program)
{
    for (int i = 0; i < n; i++)
        if (!server_start(&s[i], program)) {
            complain(k->c, "cannot start %s: %s", s[i].name, strerror(errno));
            return FAILED;
        }
    return STARTED;
}

static enum start start_all(struct cluster *k, const char *mqnamesrv, const char *mqbroker)
{
    int64_t until_ms = clock_mono_ms() + START_MS;
    enum start now = start_some(k, k->namesrv, k->n_namesrvs, mqnamesrv);
    for (int i = 0; i < k->n_namesrvs && now == STARTED; i++)
        while (now == STARTED && !server_listens(k->namesrv[i].port))
            now = pause_and_look(k, until_ms);
    if (now == STARTED)
        now = start_some(k, k->broker, k->n_brokers, mqbroker);
    return now == STARTED ? wait_registered(k, until_ms) : now;
}

static void stop_all(struct cluster *k)
{
    server_stop_all(k->broker, k->n_brokers, STOP_MS);
    server_stop_all(k->namesrv, k->n_namesrvs, STOP_MS);
}

/* ---- telling and waiting ---- */

static void row(struct out *o, const struct server *s)
{
    char addr[32];
    snprintf(addr, sizeof addr, "127.0.0.1:%d", s->port);
    out_text(o, s->name);
    out_text(o, addr);
    out_i64(o, s->pid);
    out_i64(o, server_rss_kib(s));
    out_text(o, s->log);
}

static bool tell(struct cluster *k)
{
    static const struct out_column cols[] = {
        {"name", "SERVER", 0, false}, {"addr", "ADDRESS", 0, false}, {"pid", "PID", 0, true}, {"rssKiB", "RSS KiB", 0, true}, {"log", "LOG", 0, false}};
    struct out o;
    int64_t took_us = clock_mono_us() - k->born_us;
    out_begin(&o, out_format_of(k->c), false, cols, sizeof cols / sizeof *cols);
    for (int i = 0; i < k->n_namesrvs; i++)
        row(&o, &k->namesrv[i]);
    for (int i = 0; i < k->n_brokers; i++)
        row(&o, &k->broker[i]);
    bool ok = out_end(&o);
    say("%sReady%s after %" PRId64 ".%" PRId64 " ms. Point your client at %s, or: export NAMESRV_ADDR='%s'", paint(stderr, PAINT_GREEN),
        paint(stderr, PAINT_PLAIN), took_us / 1000, took_us / 100 % 10, k->addrs, k->addrs);
    say("%s %s. Ctrl-C stops the cluster.", k->temporary ? "Stores and logs, until it ends:" : "Stores and logs:", k->dir);
    return ok;
}

/* Until the user ends us (DONE) or a server ends by itself (REFUSED). */
static int wait_for_end(struct cluster *k)
{
    for (;;) {
        int sig = sigwaitinfo(&k->waits, NULL);
        if (sig > 0 && sig != SIGCHLD)
            return DONE;
        bool ended = false;
        for (int i = 0; i < k->n_namesrvs; i++)
            if (server_reap(&k->namesrv[i])) {
                server_say_end(&k->namesrv[i], 12);
                ended = true;
            }
        for (int i = 0; i < k->n_brokers; i++)
            if (server_reap(&k->broker[i])) {
                server_say_end(&k->broker[i], 12);
                ended = true;
            }
        if (ended)
            return REFUSED;
    }
}

static int run(struct cluster *k, int64_t port)
{
    char mqnamesrv[PATH_MAX], mqbroker[PATH_MAX];
    if (!server_find("mqnamesrv", mqnamesrv, sizeof mqnamesrv) || !server_find("mqbroker", mqbroker, sizeof mqbroker)) {
        complain(k->c, "mqnamesrv and mqbroker are neither beside cmq nor on the PATH.");
        return REFUSED;
    }
    enum start now = RETRY;
    for (int try = 0; now == RETRY && try < TRIES; try++) {
        if (!lay_out(k, port, try))
            return REFUSED;
        now = start_all(k, mqnamesrv, mqbroker);
        if (now == RETRY)
            stop_all(k);
    }
    if (now == RETRY)
        complain(k->c, "ports were taken %d times while the servers started; --port chooses others.", TRIES);
    int rc = now == STARTED ? (tell(k) ? wait_for_end(k) : REFUSED) : now == STOPPED ? DONE : REFUSED;
    if (now == STARTED)
        say("Stopping ...");
    stop_all(k);
    return rc;
}

int cmd_up(const struct call *c)
{
    struct cluster *k = calloc(1, sizeof *k); /* paths make it large */
    int64_t groups, namesrvs, port;
    const char *set;
    struct sigaction hup;
    if (k == NULL)
        return REFUSED;
    k->c = c;
    k->born_us = clock_mono_us();
    int rc = USAGE;
    if (!call_number(c, OPT_GROUPS, 1, GROUPS_MAX, 1, &groups) || !call_number(c, OPT_NAMESRVS, 1, NAMESRVS_MAX, 1, &namesrvs) ||
        !call_number(c, OPT_PORT, 1, 65000, 0, &port))
        goto out;
    for (int at = 0; (set = call_next(c, OPT_SET, &at)) != NULL;)
        if (strchr(set, '=') == NULL || set[0] == '=' || strchr(set, '\n')) {
            complain(c, "--set %s: expected KEY=VALUE, a setting of mqbroker", set);
            goto out;
        }
    k->n_brokers = (int)groups;
    k->n_namesrvs = (int)namesrvs;
    sigemptyset(&k->ends);
    sigaddset(&k->ends, SIGINT);
    sigaddset(&k->ends, SIGTERM);
    sigaddset(&k->ends, SIGQUIT);
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN) /* nohup cmq up & */
        sigaddset(&k->ends, SIGHUP);
    k->waits = k->ends;
    sigaddset(&k->waits, SIGCHLD);
    sigprocmask(SIG_BLOCK, &k->waits, NULL);

    rc = REFUSED;
    if (!choose_folder(k))
        goto out;
    rc = run(k, port);
    if (k->temporary && !folder_remove(k->dir)) {
        complain(c, "cannot remove %s: %s", k->dir, strerror(errno));
        rc = REFUSED;
    }
out:
    free(k);
    return rc;
}
