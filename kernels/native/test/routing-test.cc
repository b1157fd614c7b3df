// See rows-test.cc.
#include "../ops-rows/test_routing.cc"
