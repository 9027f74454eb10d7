/* running.h - what a consumer tells about itself. Thread: main. */
#ifndef CLIENT_ADMIN_MQADMIN_RUNNING_H
#define CLIENT_ADMIN_MQADMIN_RUNNING_H
#include "client/admin/mqadmin/lookup.h"

/* Through a broker of the group's; yours, json_decref(). NULL: it failed. */
json_t *running_get(struct mqadmin *m, const char *group, const char *client_id, bool jstack);
#endif
