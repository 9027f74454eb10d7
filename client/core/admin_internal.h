/* admin_internal.h - the struct behind cmq_admin, and questions that its files share. Thread: the caller's, which waits. */
#ifndef CLIENT_CORE_ADMIN_INTERNAL_H
#define CLIENT_CORE_ADMIN_INTERNAL_H
#include "client/core/client.h"
#include "common/protocol/json.h"

struct cmq_admin {
    struct client *client;
    int64_t timeout_ms;
};
/* addr NULL: the name servers. CMQ_OK: *out is yours, json_decref(). */
enum cmq_code admin_ask_json(struct cmq_admin *a, const char *addr, const struct command *cmd, const char *doing, json_t **out, struct cmq_error *err);
enum cmq_code admin_ask_cluster(struct cmq_admin *a, json_t **out, struct cmq_error *err);
/* What a name server says now; addr NULL: any of them. CMQ_OK: *out is yours, route_unref(). */
enum cmq_code admin_fresh_route(struct cmq_admin *a, const char *addr, const char *topic, struct route **out, struct cmq_error *err);
/* The brokers in a cluster's JSON, sorted, yours: mem_free(); texts belong to the JSON. NULL: out of memory. */
struct cmq_broker *admin_brokers_of(const json_t *info, size_t *n);
#endif
