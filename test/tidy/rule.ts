import test from 'ava';
import { sourceFile, type SourceFile } from './source-file.ts';
import { formatViolation, type Violation } from './violation.ts';

/** Files by path, as if they stood in the repository. */
type Planted = Readonly<Record<string, string>>;
const plant = (planted: Planted): readonly SourceFile[] =>
  Object.entries(planted).map(([path, text]) => sourceFile(path, text));

/** A rule over the source, with what it must find and what it must let pass. */
export interface Rule {
  readonly name: string;
  readonly judge: (files: readonly SourceFile[]) => readonly Violation[];
  /** Each is to be found guilty, with this in the message. */
  readonly guilty: readonly { readonly plant: Planted; readonly says: RegExp }[];
  /** Looks alike and is right. */
  readonly innocent: readonly Planted[];
}

/** Two tests a rule: the repository keeps it, and its planted violations are seen. */
export function testRules(rules: readonly Rule[], files: readonly SourceFile[]): void {
  for (const rule of rules) {
    test(`tidy: ${rule.name}`, (t) => {
      t.deepEqual(rule.judge(files).map(formatViolation), []);
    });

    test(`tidy: a violation is seen, and what looks alike is not: ${rule.name}`, (t) => {
      for (const { plant: planted, says } of rule.guilty) {
        const found = rule.judge(plant(planted));
        t.is(found.length, 1, `${JSON.stringify(planted)} gives ${found.map(formatViolation).join('; ')}`);
        t.regex(found[0]?.message ?? '', says);
        t.true(Object.hasOwn(planted, found[0]?.path ?? ''));
      }
      for (const planted of rule.innocent) t.deepEqual(rule.judge(plant(planted)).map(formatViolation), []);
    });
  }
}
