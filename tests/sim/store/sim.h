/* sim.h - a store, the disk beneath it, and a memory of what it promised.
 *
 * A `sim` drives one message_store on a fake disk from a seed and remembers each message that was put, how far the store said
 * that a power cut (durable_off) or a kill (visible_off) cannot hurt. sim_verify() reads everything back and compares.
 *   I1  what is below the promise is readable, byte for byte, by queue offset, by place and by key
 *   I2  a queue has no gaps; its order is that of the puts
 *   I3  nothing is readable that was not put
 * A broken promise is written into the verdict; the first one stays. Nothing here asserts, so that a test can also demand a failure.
 * Thread: one. Offsets as in message_store.h. */
#ifndef TESTS_SIM_STORE_SIM_H
#define TESTS_SIM_STORE_SIM_H
#include <stdbool.h>
#include <stdint.h>

#include "broker/store/message_store.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/rng.h"
#include "tests/lib/sim_exec.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SIM_SLOW 3 /* sanitizers take their time: a third of the default work */
#else
#define SIM_SLOW 1
#endif
enum { SIM_TOPICS = 3, SIM_QUEUES = 3, SIM_BATCH = 6 };
#define SIM_START_MS 1700000000000

struct sim_msg {
    uint32_t id, body_n;
    int64_t phys_off, store_ms; /* -1: the put did not return yet, or returned in a life that a cut ended */
    uint32_t size;
};
struct sim_queue {
    struct sim_msg *msgs; /* [i] has queue offset i */
    uint32_t n, cap;
    int64_t min;          /* smallest offset that must be readable: grows with the log's start */
    uint32_t arrived;     /* told by the listener in this life */
};
struct sim_model {
    struct sim_queue queues[SIM_TOPICS][SIM_QUEUES];
    uint32_t next_id;
};
struct sim_options {
    bool sync_flush, uniform; /* uniform: all records have 512 bytes, so that old ones fit where new ones end */
    bool clock_jumps;         /* the wall clock also goes back */
    bool expire;              /* now and then hours pass and old files go */
    bool transactions;        /* now and then a prepared or rolled-back record, which no queue shows */
};
struct sim {
    uint64_t seed;
    struct rng rng;
    struct sim_options opt;
    struct store_config cfg;
    struct fake_disk *disk;
    struct sim_exec exec;
    struct store_listener listener;
    struct message_store *store; /* NULL: not open */
    struct sim_model model;
    int64_t now_ms, mono_ms; /* the wall clock, and the one that never jumps */
    uint64_t durable_off, visible_off; /* promised to survive a power cut; a kill */
    uint64_t gone_off;                 /* the log began here once: what lies before may come back after a cut, or not */
    uint64_t hidden;                   /* records without a queue: only counted */
    unsigned failed_calls;             /* of the listener */
    bool broken;                       /* the verdict */
    char words[500];
    char *trace;                       /* the disk's newest steps then; freed by sim_fini() */
    uint64_t puts, refused, cuts; /* refused: with words, by PUT_NO_ROOM or PUT_FAILED */
};

/* A disk and a configuration from the seed; the store is not open yet. End with sim_fini(). */
void sim_init(struct sim *s, uint64_t seed, const struct sim_options *opt);
void sim_fini(struct sim *s);
__attribute__((format(printf, 2, 3))) void sim_break(struct sim *s, const char *fmt, ...);

/* Opens the store; a failure breaks the sim. */
bool sim_open(struct sim *s);
enum mq_err sim_try_open(struct sim *s, struct fault *why); /* a failure is the caller's to judge */
void sim_close(struct sim *s);                              /* runs what is submitted, then closes in order */

/* ---- things that a broker does ---- */
enum put_status sim_put(struct sim *s, unsigned topic, unsigned queue, unsigned n);
void sim_turn(struct sim *s);
void sim_tick(struct sim *s, int64_t pass_ms); /* time passes, too */
void sim_act(struct sim *s);                   /* one of all that, or lanes, or a read, by chance */
void sim_run(struct sim *s, unsigned acts);
bool sim_settle(struct sim *s);                /* turns, lanes and ticks until all that is written is flushed; false: it never was */
int64_t sim_read_some(struct sim *s, unsigned topic, unsigned queue, int64_t from, uint32_t max, bool may_block); /* next offset; -1: cold or nothing */

/* ---- judging ---- */
uint64_t sim_promise(const struct sim *s, bool power); /* what must survive: a power cut, or else a kill */
/* Reads all of it back. required: messages that end at or below must be there. The model forgets what is gone. */
void sim_verify(struct sim *s, uint64_t required);
void sim_verify_queues(struct sim *s, uint64_t required); /* by queue offset only: for a store whose index may have failed */
void sim_go_on(struct sim *s); /* puts some more, flushes, verifies, closes, cuts the power, opens, verifies */
/* Clones the disk as it is in this moment, cuts it, opens a second store on it, verifies, goes on putting, closes, opens again. Also legal inside
 * a hook of the disk. `nested`: one in so many of these cuts cuts the recovery, too, at each of its steps; 0: none. The verdict lands in s. */
void sim_cut(struct sim *s, enum fake_cut how, uint64_t arg, uint32_t nested);
/* From now on, after each step of the disk, one cut by chance and one of the others in turn. */
void sim_cut_at_every_step(struct sim *s, uint32_t nested);

/* ---- seeds ---- */
/* Calls one(seed) for SIM_SEED alone, or for SIM_SEEDS (default n / SIM_SLOW) seeds from `base` on. */
void sim_each_seed(uint64_t base, unsigned n, void (*one)(uint64_t seed));
/* Fails the Criterion test with seed, words and the disk's newest steps when the sim is broken. */
void sim_must_hold(const struct sim *s, const char *what);
#endif
