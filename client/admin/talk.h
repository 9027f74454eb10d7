/* talk.h - words for people, on standard error; colours only on a terminal, and never with NO_COLOR in the environment.
 * Thread: any. */
#ifndef CLIENT_ADMIN_TALK_H
#define CLIENT_ADMIN_TALK_H
#include <stdbool.h>
#include <stdio.h>
#include "client/admin/command.h"
#include "client/admin/out.h"
#include "client/include/cmq.h"

/* "cmq topic list: ..." with a newline. */
__attribute__((format(printf, 2, 3))) void complain(const struct call *c, const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...); /* with a newline */
/* Says what the library reported and what can be done about it; returns the exit code. topic: what it was about, NULL: nothing. */
int complain_error(const struct call *c, const struct cmq_error *err, const char *topic);
/* The end of a command's table: what was collected, or why there is nothing. Returns the exit code. about: as `topic` above. */
int table_end(const struct call *c, struct out *o, enum cmq_code code, const struct cmq_error *err, const char *about);
int exit_code_of(enum cmq_code code);

enum paint { PAINT_PLAIN, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN };
/* The escape sequence for this stream, or "". */
const char *paint(FILE *to, enum paint p);

/* ---- session: what every command that talks to servers begins with ---- */
const char *session_namesrv(const struct call *c); /* the name servers in force */
/* DONE: *out is yours. Else an exit code, and all was said. */
int session_config(const struct call *c, struct cmq_config **out);
int session_admin(const struct call *c, struct cmq_admin **out);
#endif
