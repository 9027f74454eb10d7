/* properties.h - a server's configuration, as it comes: a Java properties text. Thread: any; pure, but for printing. */
#ifndef CLIENT_ADMIN_MQADMIN_PROPERTIES_H
#define CLIENT_ADMIN_MQADMIN_PROPERTIES_H
#include <jansson.h>
#include "common/base/slice.h"

json_t *properties_read(struct slice text); /* an object of texts; yours, json_decref(). NULL: out of memory */
void properties_print(struct slice text);   /* a line for each pair, by name: name, padded to 50, "=  value" */
#endif
