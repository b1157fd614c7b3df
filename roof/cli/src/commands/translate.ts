import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { DividedModel, TrainedModel } from 'troupe';
import { UsageError } from '../errors.ts';
import { onDivided } from '../generate/on-divided.ts';
import { Notes } from '../generate/notes.ts';
import { print, printJson } from '../output.ts';
import { codeOf } from '../output-file.ts';
import { collect, decimal, integer, named, verb, type CommonOptions } from '../verb.ts';
import { dividedOrWhole } from './division.ts';

interface TranslateFlags extends CommonOptions {
  readonly from: string;
  readonly to: string;
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly maxTokens?: number;
  readonly checkpoint?: string;
  readonly set: readonly string[];
  readonly threads?: number;
}

/** The lines of a file; what stands behind the last end of a line only if it is text. */
function linesOf(file: string): readonly string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new UsageError(`cannot read '${file}' (${codeOf(error)}); name a file with a text a line`);
  }
  if (!isUtf8(bytes)) throw new UsageError(`'${file}' is not UTF-8 text; convert it first (iconv -t UTF-8)`);
  const content = bytes.toString('utf8');
  const lines = content.split(/\r?\n/u);
  if (lines.at(-1) === '') lines.pop();
  if (lines.every((line) => line.trim() === ''))
    throw new UsageError(`'${file}' has no line with text; write a text a line`);
  return lines;
}

async function translateFile(path: string, file: string, options: TranslateFlags): Promise<void> {
  const { beams, lengthPenalty } = options;
  if (lengthPenalty !== undefined && beams === undefined)
    throw new UsageError('--length-penalty goes with --beams');
  const lines = linesOf(file);
  const { withTrainedModel } = await import('../trained.ts');
  await dividedOrWhole(options.set, {
    onOneDevice: () => withTrainedModel(path, options, ({ model }) => write(model, lines, options)),
    onWorkers: () => onDivided(path, options, ({ model }) => write(model, lines, options)),
  });
}

async function write(
  model: TrainedModel | DividedModel,
  lines: readonly string[],
  { from, to, beams, lengthPenalty, maxTokens, ...options }: TranslateFlags,
): Promise<void> {
  const { isTranslated, translate } = await import('troupe');
  const notes = new Notes(model.topology, options);
  notes.ofExperts();
  let line = 0;
  let isSeen = isTranslated(model.topology, { from, to });
  for await (const { text, ended } of translate(model, lines, {
    from,
    to,
    ...(beams === undefined ? {} : { beams }),
    ...(lengthPenalty === undefined ? {} : { lengthPenalty }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
  })) {
    // A language that is unknown is an error, which has come by now.
    if (!isSeen) notes.ofUnseen(from, to);
    isSeen = true;
    const source = lines[line++];
    if (options.json === true)
      printJson({ event: 'translation', step: model.step, from, to, line, source, text, ended });
    else print(text);
  }
}

export function registerTranslate(program: Command): void {
  verb(
    program,
    'translate <run> <file>',
    'Translate the lines of a file with a run that was trained on translation (data.tasks): a line each.',
    'npx troupe translate runs/multilingual help.txt --from en --to de',
  )
    .requiredOption('--from <language>', 'language of the file, as data.parallel names it: en', named)
    .requiredOption('--to <language>', 'language to write: de', named)
    .option(
      '--beams <n>',
      'search for the most probable text with n beams; default: the likeliest token each time',
      integer(1),
    )
    .option(
      '--length-penalty <a>',
      'with --beams: the logarithm of a probability is divided by length^a; 0: not at all (default 1)',
      decimal(0),
    )
    .option('--max-tokens <n>', 'new tokens of a line at most; default: what the model reads', integer(1))
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .option('--set <key=value>', 'divide the work over workers: parallel.pp=2; may be repeated', collect, [])
    .option('--threads <n>', 'threads of the device', integer(1))
    .action(translateFile);
}
