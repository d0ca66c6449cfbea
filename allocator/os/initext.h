/*
 * initext.h: the values of INI files, in place and without allocation: one reading of them for the
 * command (harness/options/configfile.h) and for the libraries (setfile.h).
 *
 *     value          to the end of the line, without blanks around it
 *     value ; why    ; or # begins a comment behind a blank, but not in quotes
 *     "a ; b "       in quotes: as it stands, with \" \\ \n \t
 */
#ifndef SM_ALLOCATOR_INITEXT_H
#define SM_ALLOCATOR_INITEXT_H

/* The text without blanks around it. */
char *sm__ini_trim(char *text);
/* And without the comment behind it. */
char *sm__ini_strip(char *text);
/* What the quotes hold, where the text is in quotes. */
void sm__ini_unquote(char *text);
/* "[ name ] ; comment", which begins at '[': the name; NULL: it is no section. */
char *sm__ini_section(char *text);

#endif
