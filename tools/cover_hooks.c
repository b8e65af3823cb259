/* In the coverage build alone, by the linker's --wrap: its processes write down what they ran. Counters are written at
 * exit(), into the build folder; a confined process may not write there, and a process that ends by _exit() does not.
 */
#include "app/confine.h"

#include <gcov.h>
#include <unistd.h>

int __real_confine_enter(struct confine *c, struct err *e);
int __wrap_confine_enter(struct confine *c, struct err *e);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

int __wrap_confine_enter(struct confine *c, struct err *e)
{
	confine_allow(c, OFM_COVERAGE, CONFINE_WRITE);
	return __real_confine_enter(c, e);
}

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
