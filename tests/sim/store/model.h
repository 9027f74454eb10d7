/* model.h - the messages of a sim: made from a number, compared with what is read. Thread: one. */
#ifndef TESTS_SIM_STORE_MODEL_H
#define TESTS_SIM_STORE_MODEL_H
#include "common/protocol/message.h"
#include "tests/sim/store/sim.h"

enum { SIM_BODY_MAX = 70000 };
struct sim_message { /* m borrows from the rest */
    struct message m;
    char props[120], key[16];
    uint8_t body[SIM_BODY_MAX + 8];
};
extern const char *const sim_topics[SIM_TOPICS];

void sim_message_make(struct sim_message *to, unsigned topic, unsigned queue, uint32_t id, uint32_t body_n);
bool sim_message_is(const struct message *got, unsigned topic, unsigned queue, uint32_t id, uint32_t body_n);
uint32_t sim_body_for_record(unsigned topic, uint32_t record); /* body bytes that make a record of this size */
struct sim_msg *sim_model_add(struct sim_model *m, unsigned topic, unsigned queue, uint32_t body_n); /* valid until the next call */
void sim_model_copy(struct sim_model *to, const struct sim_model *from); /* end with sim_model_free() */
void sim_model_free(struct sim_model *m);
int sim_topic_of(struct slice name); /* -1: none of ours */
#endif
