/*
 * What `porttrace top` needs of ncurses (X/Open curses). Names of its own, as curses' macros and globals do not import into
 * Swift, and its functions take the name of half of everything.
 */
#ifndef CNCURSES_SHIM_H
#define CNCURSES_SHIM_H

#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

/* A terminal's type by its name: OK, or ERR. */
static inline int screen_find_type(const char *type)
{
	int why;

	return setupterm(type, 1, &why);
}

/* Whether a terminal of the type that was found can place its cursor and clear itself. */
static inline int screen_type_is_able(void)
{
	const char *move = tigetstr("cup"), *clear = tigetstr("clear");

	return move && move != (char *)-1 && clear && clear != (char *)-1;
}

/*
 * Takes the terminal on standard input and output, whose type was found: keys as they come, no echo, no cursor. What is drawn
 * is written to `drawing`. OK, or ERR.
 */
static inline int screen_open(const char *type, int drawing)
{
	TERMINAL *terminal = cur_term;
	FILE *output = fdopen(dup(STDOUT_FILENO), "w");
	SCREEN *screen = output ? newterm(type, output, stdin) : 0;

	if (!screen)
		return ERR;
	set_term(screen);
	/*
	 * ncurses has asked that descriptor what the terminal is like, and waits in write() where it takes nothing: from here on it
	 * writes to another. Modes are set by the descriptor with which the type was found.
	 */
	if (dup2(drawing, fileno(output)) < 0)
		return ERR;
	set_curterm(terminal);
	def_prog_mode();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	/* Milliseconds after which an escape is a key by itself. */
	set_escdelay(25);
	curs_set(0);
	return OK;
}

static inline int screen_start_colours(void)
{
	if (!has_colors() || start_color() == ERR)
		return 0;
	return use_default_colors() == OK;
}

/* Takes the terminal's size as it is now. */
static inline void screen_fit(void)
{
	struct winsize size;

	if (ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		resizeterm(size.ws_row, size.ws_col);
}

static inline int screen_columns(void)
{
	return getmaxx(stdscr);
}

static inline int screen_rows(void)
{
	return getmaxy(stdscr);
}

static inline void screen_erase(void)
{
	werase(stdscr);
}

/* At most so many bytes, in whole characters, from a cell on. */
static inline void screen_put(int row, int column, const char *bytes, int count, unsigned int attributes)
{
	wattrset(stdscr, (int)attributes);
	mvwaddnstr(stdscr, row, column, bytes, count);
}

static inline void screen_show(void)
{
	wrefresh(stdscr);
}

/* The next drawing draws all: somebody else may have written. */
static inline void screen_distrust(void)
{
	clearok(curscr, TRUE);
}

/* ERR: there is none. */
static inline int screen_key(void)
{
	return wgetch(stdscr);
}

static inline unsigned int screen_pair(short pair)
{
	return COLOR_PAIR(pair);
}

static const unsigned int screen_bold = A_BOLD;
static const unsigned int screen_dim = A_DIM;
static const unsigned int screen_reverse = A_REVERSE;

#endif
