// The drivers of the row-wise operations, for sanitize.mjs, which runs every driver of this folder.
#include "../ops-rows/test_rows.cc"
