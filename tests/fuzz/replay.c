/* Runs one fuzz target over files or folders of them, without libFuzzer: the corpus as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		exit(1);
	}
	struct stat st;
	if (fstat(fileno(f), &st) != 0 || st.st_size < 0)
		exit(1);
	size_t n = (size_t)st.st_size;
	/* As large as the input and no larger, so that a sanitizer sees every step beyond it. */
	uint8_t *p = malloc(n > 0 ? n : 1);
	if (p == NULL || fread(p, 1, n, f) != n)
		exit(1);
	fclose(f);
	LLVMFuzzerTestOneInput(p, n);
	free(p);
	return 1;
}

static unsigned replay(const char *path)
{
	DIR *d = opendir(path);
	if (d == NULL)
		return replay_file(path);
	unsigned n = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		char sub[4096];
		snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
		n += replay_file(sub);
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	printf("%s: %u inputs\n", argv[0], n);
	return 0;
}
