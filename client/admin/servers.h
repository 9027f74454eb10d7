/* servers.h - name servers and brokers as child processes of `cmq up`.
 * Thread: main. A child has a process group of its own, writes its log to a file, and dies with us however we end. */
#ifndef CLIENT_ADMIN_SERVERS_H
#define CLIENT_ADMIN_SERVERS_H
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
    char name[32]; /* "namesrv-1", "broker-a" */
    bool is_broker;
    int port;
    char dir[PATH_MAX], conf[PATH_MAX], log[PATH_MAX];
    pid_t pid; /* 0: not running */
    bool ended;
    int status; /* waitpid's, once ended */
};

/* Where mqbroker or mqnamesrv is: beside our own program, else on the PATH. False: nowhere. */
bool server_find(const char *program, char *out, size_t n);
bool server_port_free(int port);
bool server_listens(int port);
/* false: errno says why. */
bool server_start(struct server *s, const char *program);
bool server_reap(struct server *s); /* true: it has just ended */
/* Asks n servers to stop and waits, at most ms; then kills. `hurry` (a signal that waits) makes it kill at once. */
void server_stop_all(struct server *s, int n, int ms);
int64_t server_rss_kib(const struct server *s); /* resident memory; -1: unknown */
void server_say_end(const struct server *s, int lines); /* how it ended, and the last lines of its log, on standard error */
bool folder_make(const char *path);   /* with its parents; false: errno */
bool folder_lock(const char *path);   /* for this process, until it ends; false: errno, EWOULDBLOCK when another one has it */
bool folder_remove(const char *path); /* with all that is in it */
#endif
