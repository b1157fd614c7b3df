import test from 'ava';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { F32_TOLERANCE, F64_TOLERANCE, type ConformanceBody } from './body.ts';
import { errorTable, formatErrorTable } from './error-table.ts';

const body: ConformanceBody = {
  name: 'single',
  open: () => openReferenceDevice({ dtype: 'f32' }),
  tolerance: F32_TOLERANCE,
  bitwise: true,
  bf16: true,
  longWork: 0,
  numRuns: 5,
};

test('errorTable: errors of single precision are those of single precision, and exact outputs are exact', async (t) => {
  const { rows } = await errorTable([body], 3);
  const cell = (op: string) => rows.find((row) => row.op === op)?.cells[0];
  t.like(cell('linear.forward'), { failure: null, output: 'out' });
  const { error } = cell('linear.forward') ?? { error: Number.NaN };
  t.true(error > 1e-9 && error < 1e-6, `error ${error}`);
  t.deepEqual(cell('gather'), { error: 0, output: '', failure: null });
});

test('errorTable: a body outside its tolerance is named, with the case that shows it', async (t) => {
  const table = await errorTable([body, { ...body, name: 'too strict', tolerance: F64_TOLERANCE }], 3);
  const text = formatErrorTable(table);
  t.regex(text, /\| linear\.forward \| \d\.\de-8 \| \*\*outside\*\* \|/u);
  t.regex(text, /### linear\.forward on too strict\n\n```\nProperty failed/u);
  t.notRegex(text, /on single/u);
});
