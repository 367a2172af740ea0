/* The sandbox's process of a pod: holds every TCP port of a small range, so that the pod's containers find none, and
 * waits for its end. A range of more than MOST_HELD ports is left alone. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_HELD = 64 };

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

static void reap(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

static int read_range(unsigned *low, unsigned *high)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
	if (!file)
		return 0;
	int found = fscanf(file, "%u %u", low, high);
	fclose(file);
	return found == 2;
}

/* bind() to [::] takes the port for IPv4 too; connect() skips such a port wholesale. A port that somebody else holds will
 * do. */
static int hold(unsigned port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	return fd >= 0 && (!bind(fd, (struct sockaddr *)&any, sizeof any) || errno == EADDRINUSE);
}

int main(void)
{
	unsigned low, high;
	sigset_t none;
	sigset_t ending;
	sigemptyset(&none);
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigprocmask(SIG_BLOCK, &ending, NULL); /* sigsuspend() lets them in: none is missed */
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
	sigaction(SIGINT, &(struct sigaction){.sa_handler = end}, NULL);
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = reap}, NULL);
	if (read_range(&low, &high) && high - low < MOST_HELD)
		for (unsigned port = low; port <= high; port++)
			if (!hold(port))
				return 1;
	while (!ended)
		sigsuspend(&none);
	return 0;
}
