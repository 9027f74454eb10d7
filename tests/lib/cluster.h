/* cluster.h - real name servers and brokers for tests: processes of this build, on free loopback ports, in a temporary folder.
 *     struct cluster *c = cluster_new();
 *     cluster_namesrv(c, "ns");
 *     cluster_broker(c, "broker-a", "flushDiskType=SYNC_FLUSH\n");
 *     ... cluster_names(c) is what clients take as namesrvAddr ...
 *     cluster_free(c);
 * The binaries are those of the folder in the environment's OUT, else of build/debug. Servers die with the test's process.
 * Functions that can fail print why to standard error and return 0 or NULL. Thread: one. */
#ifndef TESTS_LIB_CLUSTER_H
#define TESTS_LIB_CLUSTER_H
#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct cluster *cluster_new(void);
void cluster_free(struct cluster *c); /* kills all, removes the folder (not when CLUSTER_KEEP is set); NULL allowed */
/* Starts a server and waits until it answers; a broker, until each name server lists it. extra: more lines of its config, or NULL.
 * Its port, or 0. */
uint16_t cluster_namesrv(struct cluster *c, const char *name);
uint16_t cluster_broker(struct cluster *c, const char *name, const char *extra);
const char *cluster_names(const struct cluster *c); /* "127.0.0.1:1;127.0.0.1:2" of all name servers started so far */
const char *cluster_dir(const struct cluster *c);   /* its log is in NAME.log, its store in NAME/ */
bool cluster_kill(struct cluster *c, const char *name);    /* SIGKILL */
int cluster_stop(struct cluster *c, const char *name);     /* SIGTERM; its exit status, or -1 */
bool cluster_restart(struct cluster *c, const char *name); /* with its config and port; waits as the start did */
bool cluster_pause(struct cluster *c, const char *name);   /* SIGSTOP */
bool cluster_resume(struct cluster *c, const char *name);
uint16_t cluster_free_port(void); /* nothing listens on it, nor on the ports 2 below and 1 above */
#endif
