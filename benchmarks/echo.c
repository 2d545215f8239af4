/*
 * echo answers each line on a Unix socket with the same reply. It does not parse, look up or read
 * the clock: one epoll loop, one recv and one send for all received lines. It is the upper limit
 * for every server with this form of request and reply, and for the load generator.
 *
 * cc -O2 -o echo echo.c && ./echo PATH BYTES
 *
 * BYTES is the size of a reply with its end of line: "OK 7000 vvv...\n".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { EVENTS = 128, REQUESTS = 65536, BATCH = 256 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* answer answers the lines received on fd, and returns 0 when the connection has ended. */
static int answer(int fd, const char *replies, size_t size)
{
	static char in[REQUESTS];
	ssize_t n = recv(fd, in, sizeof in, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return 0;
	size_t lines = 0;
	for (const char *p = in, *end = in + n; (p = memchr(p, '\n', end - p)) != NULL; p++)
		lines++;
	while (lines > 0) {
		size_t now = lines < BATCH ? lines : BATCH;
		size_t sent = 0, all = now * size;
		while (sent < all) {
			ssize_t m = send(fd, replies + sent, all - sent, MSG_NOSIGNAL);
			if (m < 0 && errno == EAGAIN)
				continue; /* every peer here reads */
			if (m < 0)
				return 0;
			sent += m;
		}
		lines -= now;
	}
	return 1;
}

int main(int argc, char **argv)
{
	size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (size < 16 || size > 65536 || strlen(argv[1]) >= sizeof address.sun_path) {
		fprintf(stderr, "usage: echo PATH BYTES\n");
		return 2;
	}
	char *replies = malloc(BATCH * size);
	if (replies == NULL)
		fail("malloc");
	memset(replies, 'v', BATCH * size);
	for (size_t i = 0; i < BATCH; i++) {
		memcpy(replies + i * size, "OK 7000 ", 8);
		replies[(i + 1) * size - 1] = '\n';
	}

	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0)
		fail("socket");
	strcpy(address.sun_path, argv[1]);
	unlink(argv[1]);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0)
		fail(argv[1]);
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
	if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event) < 0)
		fail("epoll");
	for (;;) {
		int n = epoll_wait(loop, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd != listener) {
				if (!answer(fd, replies, size))
					close(fd);
				continue;
			}
			while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
				event.data.fd = fd;
				if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0 || !answer(fd, replies, size))
					close(fd);
			}
		}
	}
}
