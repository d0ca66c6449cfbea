;; Buffers, tables, strings, a child process.
(let ((table (make-hash-table :test 'equal)))
  (dotimes (i 50000) (puthash (number-to-string i) (make-string (% i 100) ?x) table))
  (garbage-collect)
  (princ (format "%d\n" (hash-table-count table))))
(with-temp-buffer
  (dotimes (i 20000) (insert (format "line %d\n" i)))
  (goto-char (point-min))
  (princ (format "%d %d\n" (how-many "7$") (buffer-size)))
  (sort-lines t (point-min) (point-max))
  (princ (buffer-substring (point-min) (line-end-position))))
(princ (shell-command-to-string "echo; echo a child"))
(princ (format "%s\n" (secure-hash 'sha256 (make-string 100000 ?a))))
