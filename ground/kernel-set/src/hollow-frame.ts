import type { HostArray } from '@troupe/core';

/** In frames that a device without arithmetic gives: they have a length, and zeros that stand for anything. */
export const hollowFrame = Symbol('hollow frame');

/** Whether there is nothing to be found in an array, so that whoever would look at every element need not. */
export const isHollowFrame = (array: HostArray): boolean => hollowFrame in array;
