import { runUserCode, shownValue, UserCodeError } from '@troupe/core';
import type {
  DeviceInfo,
  ExactSum,
  ExpertsBackwardCall,
  ExpertsForwardCall,
  Floats,
  Ints,
  KernelCall,
} from '@troupe/kernel-set';
import type { ExpertParameter } from '@troupe/spec';

/** A call over rows that were routed: every source says which token a row is. Weights of an own expert are f32 in any precision. */
type Routed<Call extends ExpertsForwardCall | ExpertsBackwardCall> = Omit<Call, 'sources' | 'weights'> & {
  readonly weights: Floats;
  readonly sources: readonly (Call['sources'][number] & { readonly slots_N: Ints })[];
};

/** The forward call of an expert actor. */
export type OwnForwardCall = Routed<ExpertsForwardCall>;

/** A backward call whose gradient goes to a sum: an own expert may add to it in several calls. */
export type OwnBackwardCall = Routed<ExpertsBackwardCall> & { readonly weightSum: ExactSum };

/**
 * An own expert: replaces the grouped FFN of an expert actor by other kernel calls, over the same parameters or its own.
 *
 * It receives the call that the default expert would make, with every buffer in place, and returns what to run instead.
 */
export interface ExpertRule {
  readonly name: string;
  /** The only body of `Device` that runs its calls; absent: every body does. */
  readonly body?: DeviceInfo['body'];
  /** What every expert has instead of gate, up and down: drawn, owned, updated and checkpointed as these are. Absent: those. */
  parameters?(shape: { readonly dim: number; readonly hidden: number }): readonly ExpertParameter[];
  forward(call: OwnForwardCall): readonly KernelCall[];
  /** Must add the weights' gradients to `call.weightSum` and write every source's `dx_ND`. */
  backward(call: OwnBackwardCall): readonly KernelCall[];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const hasRows = (
  pass: { readonly forward: OwnForwardCall } | { readonly backward: OwnBackwardCall },
): boolean =>
  'forward' in pass
    ? pass.forward.sources.some(({ y_ND }) => y_ND.length > 0)
    : pass.backward.sources.some(({ dx_ND }) => dx_ND.length > 0);

/**
 * The calls that an own expert makes in place of one.
 *
 * @throws {UserCodeError} TROUPE_USER_CODE when it throws, or returns no list of kernel calls; whether a call is right its device says
 */
export function callsOf(
  expert: ExpertRule,
  pass: { readonly forward: OwnForwardCall } | { readonly backward: OwnBackwardCall },
): readonly KernelCall[] {
  const name = 'forward' in pass ? 'forward' : 'backward';
  const what = `${name} of the expert '${expert.name}'`;
  const calls: unknown = runUserCode(what, () =>
    'forward' in pass ? expert.forward(pass.forward) : expert.backward(pass.backward),
  );
  if (!Array.isArray(calls) || (calls.length === 0 && hasRows(pass)))
    throw new UserCodeError(what, `returned ${shownValue(calls)}, expected a list of kernel calls`);
  const wrong = calls.findIndex((call: unknown) => !isRecord(call) || typeof call['op'] !== 'string');
  if (wrong >= 0)
    throw new UserCodeError(
      what,
      `returned ${shownValue(calls[wrong])} as call ${wrong}, expected a kernel call: an object with op`,
    );
  return calls as readonly KernelCall[];
}

const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

/**
 * The parameters of an own expert; null: it has those of the model.
 *
 * @throws {UserCodeError} TROUPE_USER_CODE when it throws, or returns no list of distinct names with shapes
 */
export function parametersOf(
  expert: ExpertRule,
  shape: { readonly dim: number; readonly hidden: number },
): readonly ExpertParameter[] | null {
  if (expert.parameters === undefined) return null;
  const what = `parameters of the expert '${expert.name}'`;
  const parameters: unknown = runUserCode(what, () => expert.parameters?.(shape));
  if (!Array.isArray(parameters) || parameters.length === 0)
    throw new UserCodeError(what, `returned ${shownValue(parameters)}, expected a list of { name, shape }`);
  const names = new Set<string>();
  parameters.forEach((parameter: unknown, index) => {
    const { name, shape: sizes } = isRecord(parameter) ? parameter : {};
    if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_-]*$/u.test(name))
      throw new UserCodeError(
        what,
        `named parameter ${index} ${shownValue(name)}, expected letters, digits, _ and -`,
      );
    if (names.has(name)) throw new UserCodeError(what, `named two of them '${name}'`);
    names.add(name);
    if (!Array.isArray(sizes) || sizes.length === 0 || !sizes.every(isSize))
      throw new UserCodeError(
        what,
        `gave '${name}' the shape ${Array.isArray(sizes) ? `[${sizes.map(shownValue).join(', ')}]` : shownValue(sizes)}, expected a list of whole numbers of at least 1`,
      );
  });
  return parameters as readonly ExpertParameter[];
}
