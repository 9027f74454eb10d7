/* client_route.c - fuzz target: a name server's answer as the client reads it. First byte: the client's default number of queues, 0 for
 * a real route. Oracle: what was accepted keeps the bounds, is sorted, and every queue belongs to a broker that the route names. */
#include <string.h>

#include "client/core/route.h"
#include "tests/fuzz/fuzz.h"

static void check_queues(const struct route *r, const struct cmq_queue *q, size_t n, bool to_write)
{
    CHECK(n <= ROUTE_QUEUES_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct route_broker *b = route_broker(r, q[i].broker_name);
        CHECK(b != NULL && b->n_addrs > 0 && q[i].queue_id >= 0);
        CHECK(!to_write || route_master(b) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t queues;
    struct route *r = NULL;
    struct fault why = {0};
    if (!fuzz_choice(&data, &n, &queues))
        return 0;
    enum mq_err err = route_parse("T", slice_make(data, n), queues, &r, &why);
    CHECK((err == MQ_OK) == (r != NULL));
    CHECK(err == MQ_OK || why.what[0] != '\0');
    if (r == NULL)
        return 0;
    CHECK(r->n_brokers <= ROUTE_BROKERS_MAX);
    for (size_t i = 0; i < r->n_brokers; i++) {
        CHECK(r->brokers[i].n_addrs <= ROUTE_ADDRS_MAX);
        CHECK(i == 0 || strcmp(r->brokers[i - 1].name, r->brokers[i].name) <= 0);
    }
    check_queues(r, r->write, r->n_write, true);
    check_queues(r, r->read, r->n_read, false);
    CHECK(queues == 0 || r->n_write <= (size_t)queues * r->n_brokers);
    route_unref(route_ref(r));
    route_unref(r);
    return 0;
}
