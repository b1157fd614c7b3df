import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

test('validate: counts devices and machines as people do', async (t) => {
  const { folder: cwd } = workplace(t);
  const two = await runCliHere(['validate', 'small.yaml'], { cwd });
  t.is(two.stdout, 'small.yaml is valid: small, 2 devices on 1 machine\n');
  const one = ['--set', 'parallel={dp: 1}', '--set', 'machines=[{devices: [cpu:0]}]'];
  const { stdout } = await runCliHere(['validate', 'small.yaml', ...one], { cwd });
  t.is(stdout, 'small.yaml is valid: small, 1 device on 1 machine\n');
});

test('validate: names what no worker could compute', async (t) => {
  const { folder: cwd } = workplace(t);
  const args = ['validate', 'small.yaml', '--set', 'model.moe.balance.layers=pooled', '--json'];
  const [report] = jsonLines((await runCliHere(args, { cwd })).stdout);
  t.like(report?.['unbuilt'], [{ key: 'model.moe.balance.layers', nearest: 'each' }]);
});

test('validate, launch: warn of what is legal and hardly meant', async (t) => {
  const { folder: cwd } = workplace(t);
  const set = ['--set', 'model.tiedHead=true', '--set', 'model.init.embedding=1'];
  const warning =
    /^warning: --set model\.init\.embedding=1 {2}model\.init\.embedding: 1 with tiedHead: .* or set 0\.177$/m;
  t.regex((await runCliHere(['validate', 'small.yaml', ...set], { cwd })).stdout, warning);
  const [report] = jsonLines(
    (await runCliHere(['validate', 'small.yaml', ...set, '--json'], { cwd })).stdout,
  );
  t.like(report?.['warnings'], [{ key: 'model.init.embedding' }]);
  const args = ['launch', 'small.yaml', '--stop-after', '1', '--no-checkpoint'];
  t.regex((await runCliHere([...args, ...set], { cwd })).stdout, warning);
  t.notRegex((await runCliHere([...args, '--set', 'model.tiedHead=true'], { cwd })).stdout, /^warning/m);
});
