// The row-wise operations' own test, for sanitize.mjs, which runs every driver of this folder.
#include "../ops-rows/test_rows.cc"
