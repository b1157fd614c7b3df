// The lane functions' own test, for sanitize.mjs, which runs every driver of this folder.
#include "../simd/math_test.cc"
