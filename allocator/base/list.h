/*
 * list.h: lists through the members next and prev of the entries themselves. A list is a pointer to
 * its first entry; the first one's prev and the last one's next are NULL. Macros, so that one text
 * serves entries of any type; each argument is evaluated once, and *head is an lvalue.
 */
#ifndef SM_ALLOCATOR_LIST_H
#define SM_ALLOCATOR_LIST_H

/* To the front. */
#define SM_LIST_PUSH(head, entry)                    \
	do {                                         \
		__typeof__(head) *head_ = &(head);   \
		__typeof__(*head_) entry_ = (entry); \
		entry_->prev = NULL;                 \
		entry_->next = *head_;               \
		if (*head_ != NULL)                  \
			(*head_)->prev = entry_;     \
		*head_ = entry_;                     \
	} while (0)

/* entry is on the list; its own links are left as they are. */
#define SM_LIST_REMOVE(head, entry)                        \
	do {                                               \
		__typeof__(head) *head_ = &(head);         \
		__typeof__(*head_) entry_ = (entry);       \
		if (entry_->prev != NULL)                  \
			entry_->prev->next = entry_->next; \
		else                                       \
			*head_ = entry_->next;             \
		if (entry_->next != NULL)                  \
			entry_->next->prev = entry_->prev; \
	} while (0)

#endif
