import type { ConfigKeys, Json } from './config-keys.ts';
import { isJsonObject } from './json-text.ts';

function parametersOf(keys: ConfigKeys, name: string): Json {
  const value = keys.get(name) ?? {};
  if (isJsonObject(value)) return value;
  throw keys.refuse(name, 'a map is needed');
}

/**
 * Base of the rotary angles, found where Transformers finds it: `rope_scaling` (older files) unless it is empty, else
 * `rope_parameters`; in it `rope_theta`, else the key of that name beside it, else the default of the class.
 */
export function ropeTheta(keys: ConfigKeys): number {
  const older = parametersOf(keys, 'rope_scaling');
  const name = Object.keys(older).length > 0 ? 'rope_scaling' : 'rope_parameters';
  const parameters = parametersOf(keys, name);
  const type = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  if (type !== 'default' || Object.values(parameters).some(isJsonObject))
    throw keys.refuse(
      name,
      'only plain rotary positions (rope_type default), the same in all layers, are built',
    );
  const part = parameters['partial_rotary_factor'] ?? keys.get('partial_rotary_factor') ?? 1;
  if (part !== 1)
    throw keys.refuse(
      keys.get('partial_rotary_factor') === null ? name : 'partial_rotary_factor',
      'rotary positions turn whole heads here',
    );
  const theta = parameters['rope_theta'] ?? keys.get('rope_theta');
  if (typeof theta === 'number' && Number.isFinite(theta) && theta > 0) return theta;
  throw keys.refuse(
    parameters['rope_theta'] === undefined ? 'rope_theta' : name,
    'rope_theta has to be a number above 0',
  );
}
