/* kit.h - a broker without sockets, threads and clock: real tables, sessions, store (on a disk in memory), acks and long polling, wired as
 * broker.c wires them, behind an outbox that keeps what was said. Requests go through the table of routes, as the server's do.
 * One kit per test; criterion runs each test in its own process. */
#ifndef TESTS_UNIT_PROCESSOR_KIT_H
#define TESTS_UNIT_PROCESSOR_KIT_H
#include <criterion/criterion.h>
#include <jansson.h>

#include "broker/ack/ack_queue.h"
#include "broker/filter/consumer_filters.h"
#include "broker/filter/expressions.h"
#include "broker/longpoll/longpoll.h"
#include "broker/metadata/groups.h"
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/context.h"
#include "broker/schedule/schedule.h"
#include "broker/session/queue_locks.h"
#include "broker/session/session.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "broker/transaction/transactions.h"
#include "common/protocol/codes.h"
#include "common/protocol/json.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

enum { KIT_T0 = 1700000000, KIT_CONN = 7, KIT_ANSWERS = 512, KIT_CALLS = 64, KIT_WAITING = 64 }; /* T0: seconds */

struct answer {
    bool came;
    unsigned times; /* more than once is a bug */
    int32_t code;
    char remark[512];
    struct command cmd; /* as a client decodes it; lives until kit_end() */
    struct arena arena;
    struct buf frame;
};
struct call { /* a request of the broker's own to a client */
    uint64_t conn_id;
    bool oneway;
    struct command cmd;
    struct arena arena;
    struct buf frame;
    answer_fn *fn;
    void *arg;
};
struct kit {
    struct broker_context c;
    struct broker_config config;
    struct fake_disk *disk;
    struct config_file *locks_file;
    struct sim_exec exec;
    struct request_route rows[96];
    size_t n_rows;
    struct answer answers[KIT_ANSWERS]; /* by opaque */
    int32_t next_opaque;
    struct call calls[KIT_CALLS];
    size_t n_calls;
    struct {
        struct buf frame;
        int64_t since_ms;
    } waiting[KIT_WAITING]; /* requests that were told HANDLED_WAIT; a turn tries them again */
    size_t n_waiting;
    uint64_t waits;
    int64_t now_ms, mono_ms;
    uint64_t conn_id;
    enum serialize serialize;
    unsigned registered; /* times that topics were to be told to name servers */
    struct {
        struct ticket to;
        struct change_wait wait;
    } unsynced[KIT_ANSWERS]; /* answers that wait for a sync of changes: works of a turn end it */
    size_t n_unsynced;
    enum kept_what kept;          /* what the last change's answer waits for */
};
extern struct kit k;

/* settings: properties text over the defaults, before anything is opened; NULL: none. */
void kit_start_with(const char *settings);
void kit_start(void);
void kit_end(void);
void kit_restart(void);                /* stops, and starts again */
void kit_crash(enum fake_cut how);     /* the end of the process or of the power at this moment; starts again */

/* Sends a request and lets it be handled; *opaque is its number. Fields: name, value, name, value ... */
#define ASK(code, ...) kit_ask(code, (struct slice){0}, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define ASK_BODY(code, body, ...) kit_ask(code, body, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
/* The answer after a turn of the store and its works; it must have come exactly once. */
const struct answer *kit_ask(int32_t code, struct slice body, const char *const *fields);
/* The same without a turn, and without a promise. flag: COMMAND_ONEWAY. */
struct answer *kit_send(int32_t code, int32_t flag, struct slice body, const char *const *fields);
struct answer *kit_send_command(const struct command *cmd); /* as a client wrote it; the opaque is ours */
void kit_turn(void);           /* the store's turn, works, wakes: what the loop does */
void kit_write_only(void);     /* the store's turn, but no work runs: nothing is flushed */
void kit_pass(int64_t ms);     /* both clocks; then deadlines and a turn */
void kit_close(uint64_t conn_id);
void kit_heartbeat(uint64_t conn_id, const char *json);

/* What is in an answer. */
struct slice ext(const struct answer *a, const char *key); /* must be there */
int64_t ext_i64(const struct answer *a, const char *key);
bool has_ext(const struct answer *a, const char *key);
json_t *body_json(const struct answer *a); /* json_decref() it; read as our readers read Apache's */
#define EXPECT_CODE(a, want) cr_expect_eq((a)->code, want, "code %d remark %s", (a)->code, (a)->remark)
#define ASSERT_CODE(a, want) cr_assert_eq((a)->code, want, "code %d remark %s", (a)->code, (a)->remark)
#define EXPECT_WORDS(a, words) cr_expect(strstr((a)->remark, words) != NULL, "remark: %s", (a)->remark)
#define EXPECT_TEXT(s, want) cr_expect(slice_is(s, want), "%.*s", SLICE_ARG(s))

/* A plain send of one message by code 310; its answer. properties NULL: none. */
const struct answer *kit_put(const char *topic, int queue_id, const char *body, const char *properties);
/* A pull without waiting, with its own subscription; its answer. */
const struct answer *kit_pull(const char *topic, int queue_id, int64_t off, const char *expression);
size_t kit_records(const struct answer *a, struct message *out, size_t max); /* of a body; must decode with their CRC */
void kit_topic(const char *topic, int queues, int perm);
#endif
