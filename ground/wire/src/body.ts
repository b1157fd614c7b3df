import { WireFormatError } from './errors.ts';
import { wireLimits, type WireBody } from './message.ts';

/**
 * Checks that a body is a plain map of control values; both sides do it, so a mistake shows where it is made.
 *
 * @throws {WireFormatError} TROUPE_WIRE_FORMAT naming the path
 */
export function checkBody(body: unknown): WireBody {
  if (!isPlainMap(body)) throw new WireFormatError(`body is ${describe(body)}, a plain map expected`);
  checkMap(body, 'body', 1);
  return body as WireBody;
}

function checkMap(map: Record<string, unknown>, path: string, depth: number): void {
  for (const key of Object.keys(map)) {
    if (key === '__proto__') throw new WireFormatError(`${path} has a key '__proto__'; choose another name`);
    checkValue(map[key], `${path}.${key}`, depth);
  }
}

function checkValue(value: unknown, path: string, depth: number): void {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string')
    return;
  if (depth >= wireLimits.bodyDepthMax) {
    throw new WireFormatError(`${path} nests deeper than ${wireLimits.bodyDepthMax} levels`, { path });
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      checkValue(value[index], `${path}[${index}]`, depth + 1);
  } else if (isPlainMap(value)) checkMap(value, path, depth + 1);
  else {
    const hint =
      typeof value === 'bigint'
        ? 'send it as a decimal string'
        : 'send tensors as frames, leave out what is absent';
    throw new WireFormatError(`${path} is ${describe(value)}; ${hint}`, { path });
  }
}

function isPlainMap(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return `an instance of ${value.constructor?.name ?? 'something'}`;
  return typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
}
