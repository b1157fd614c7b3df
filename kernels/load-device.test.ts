import test from 'ava';
import { DeviceUnavailableError } from './errors.ts';
import { loadDevice } from './load-device.ts';

test('loadDevice: opens the reference body by name', async (t) => {
  const oracle = await loadDevice({ body: 'reference' });
  t.is(oracle.info.body, 'reference');
  t.is(oracle.info.dtype, 'f64');
  t.is((await loadDevice({ body: 'reference', dtype: 'f32' })).info.dtype, 'f32');
});

test('loadDevice: auto takes the first fast body and says why, or names every reason', async (t) => {
  try {
    const device = await loadDevice();
    t.log(device.info.reason);
    t.not(device.info.body, 'reference');
    t.true(device.info.reason.startsWith(`${device.info.body}: `), device.info.reason);
    t.true(device.info.reason.includes('chosen because'), device.info.reason);
    await device.close();
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    t.log(error.message);
    t.is(error.code, 'TROUPE_DEVICE_UNAVAILABLE');
    t.regex(error.message, /native: .+; tfjs: .+/);
  }
});

test('loadDevice: a body asked for by name is that body or a typed error, never another', async (t) => {
  for (const body of ['native', 'tfjs'] as const) {
    try {
      const device = await loadDevice({ body, threads: 1 });
      t.is(device.info.body, body);
      t.is(device.info.threads, 1);
      await device.close();
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error;
      t.true(error.message.startsWith(`${body}: `), error.message);
    }
  }
});

test('loadDevice: refuses a number of threads that is none', async (t) => {
  for (const threads of [0, -1, 1.5, Number.NaN]) {
    const error = await t.throwsAsync(loadDevice({ body: 'native', threads }), {
      instanceOf: DeviceUnavailableError,
    });
    t.regex(error.message, /threads is /);
  }
});
