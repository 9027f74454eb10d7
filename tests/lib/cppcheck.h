/* cppcheck.h - for `make analyze` only: macros of jansson that cppcheck cannot see, because it reads none of the system's headers. */
#define json_array_foreach(array, i, value) for (i = 0; (value = json_array_get(array, i)) != 0; i++)
#define json_object_foreach(object, key, value) while ((key = json_next(object, &value)) != 0)
