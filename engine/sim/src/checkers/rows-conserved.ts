import type { Checker } from './checker.ts';

/** Rows that gates routed and that experts received, by layer, in one attempt at a step. */
interface Flow {
  readonly routed: Map<number, number>;
  /** By expert actor, source, microbatch and chunk. */
  readonly received: Map<string, { readonly layer: number; readonly rows: number }>;
  numMeasured: number;
}

/**
 * Every row that a gate chose an expert for, and that the expert had room for, is computed by an expert, once: nothing is lost on the way.
 *
 * @param run - `stages`: those that measure what their gates chose, with their layers of experts; `copies`: tensor peers that each send all
 * rows to experts of their own. Default 1
 */
export const rowsConserved = (run: {
  readonly stages: ReadonlyMap<string, readonly number[]>;
  readonly experts: number;
  readonly copies?: number;
}): Checker => {
  const layers = [...new Set([...run.stages.values()].flat())];
  const flows = new Map<string, Flow>();
  const flowOf = (step: number, attempt: number): Flow => {
    const key = `${step}/${attempt}`;
    const known = flows.get(key);
    if (known !== undefined) return known;
    const flow = { routed: new Map(), received: new Map(), numMeasured: 0 };
    flows.set(key, flow);
    return flow;
  };
  return {
    name: 'rows-conserved',
    looksAt: ['turn'],
    kinds: ['rows.dispatch', 'stage.measured'],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      const { address, step, attempt, layer, microbatch, body, tensors } = seen;
      if (seen.kind === 'rows.dispatch' && body['mode'] === 'train') {
        const key = `${address} ${String(body['source'])} ${microbatch} ${String(body['chunk'])}`;
        const rows = tensors['slots_N']?.length ?? 0;
        const flow = flowOf(step, attempt);
        const known = flow.received.get(key);
        if (known !== undefined && known.rows !== rows)
          return `${address} got ${known.rows} rows, and again ${rows} rows, of source ${String(body['source'])}`;
        flow.received.set(key, { layer, rows });
      }
      if (seen.kind !== 'stage.measured') return null;
      const flow = flowOf(step, attempt);
      const counts_LE = tensors['counts_LE'] as Int32Array;
      const dropped_L = tensors['dropped_L'] as Int32Array;
      for (const [index, each] of (run.stages.get(seen.from) ?? []).entries()) {
        const own = counts_LE.subarray(index * run.experts, (index + 1) * run.experts);
        flow.routed.set(
          each,
          own.reduce((sum, count) => sum + count, (flow.routed.get(each) ?? 0) - (dropped_L[index] ?? 0)),
        );
      }
      if (run.stages.has(seen.from)) flow.numMeasured++;
      if (flow.numMeasured < run.stages.size) return null;
      flows.clear();
      const received = [...flow.received.values()];
      for (const each of layers) {
        const computed = received.reduce((sum, part) => sum + (part.layer === each ? part.rows : 0), 0);
        const routed = (run.copies ?? 1) * (flow.routed.get(each) ?? 0);
        if (computed !== routed)
          return `step ${step}, attempt ${attempt}, layer ${each}: ${routed} rows were routed, ${computed} reached an expert`;
      }
      return null;
    },
  };
};
