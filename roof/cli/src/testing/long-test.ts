import test from 'ava';

/** Tests of many launches, which `npm run test:sim` runs (`TROUPE_LONG=1`): in a suite of minutes shorter ones stand for them. */
export const longTest = process.env['TROUPE_LONG'] === '1' ? test.serial : test.serial.skip;
