import { moeLayers } from './blocks.ts';
import type { ModelConfig } from './model-config.ts';
import {
  hasWholeTensors,
  stateOf,
  updateOf,
  type OptimizerKind,
  type StateTensor,
  type TensorState,
} from './optimizer-state.ts';
import { denseUnits, expertUnits, gateBiasId, gateThresholdsId, type Unit } from './parameters.ts';

/** Whose a tensor is: one expert's; a router's, which has as many elements for each expert, in their order; or of use to all tokens. */
export type TensorOwner =
  | { readonly kind: 'expert'; readonly layer: number; readonly expert: number }
  | { readonly kind: 'router'; readonly layer: number }
  | { readonly kind: 'shared' };

/** A tensor of a model as a checkpoint has it, whatever the layout: under its global name, with what its optimizer keeps of it. */
export interface SavedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly state: TensorState;
  readonly owner: TensorOwner;
}

function ownerOf({ id, layer, expert }: Unit): TensorOwner {
  if (layer === null) return { kind: 'shared' };
  if (expert !== null) return { kind: 'expert', layer, expert };
  const ofRouter = [`L${layer}/gate`, gateBiasId(layer), gateThresholdsId(layer)];
  return ofRouter.includes(id) ? { kind: 'router', layer } : { kind: 'shared' };
}

/** Every tensor of a model. */
export function savedTensors(model: ModelConfig, optimizer: OptimizerKind): readonly SavedTensor[] {
  const units = [...denseUnits(model), ...moeLayers(model).flatMap((layer) => expertUnits(model, layer))];
  return units.flatMap((unit) => {
    const owner = ownerOf(unit);
    return unit.parameters.map((each) => {
      const { name, shape } = each;
      return { name, shape, state: stateOf(updateOf(optimizer, unit, each), shape), owner };
    });
  });
}

/** The tensors that are kept beside one. */
export const statesOf = ({ state }: Pick<SavedTensor, 'state'>): readonly StateTensor[] =>
  state.filter((each) => each !== null);

const elementsOf = (shape: readonly number[]): number => shape.reduce((product, each) => product * each, 1);

/** Whether a state has one value an element of its tensor, and lies as that does; else it goes whole, with the tensor's first element. */
export const isByElement = (state: StateTensor, { shape }: Pick<SavedTensor, 'shape'>): boolean =>
  elementsOf(state.shape) === elementsOf(shape);

/** Floats that an optimizer keeps for each parameter of a model, on average. */
export function keptShare(model: ModelConfig, optimizer: OptimizerKind): number {
  if (!hasWholeTensors(optimizer)) return statesOf({ state: stateOf(optimizer, [1]) }).length;
  let [kept, parameters] = [0, 0];
  for (const tensor of savedTensors(model, optimizer)) {
    parameters += elementsOf(tensor.shape);
    kept += statesOf(tensor).reduce((sum, { shape }) => sum + elementsOf(shape), 0);
  }
  return kept / parameters;
}
