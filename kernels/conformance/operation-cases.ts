import { attentionCases } from './attention-cases.ts';
import { biasCases } from './bias-cases.ts';
import type { CaseTable } from './built-case.ts';
import { capacityCases } from './capacity-cases.ts';
import { choiceCases } from './choice-cases.ts';
import { moeCases } from './moe-cases.ts';
import { optimizerCases } from './optimizer-cases.ts';
import { partCases } from './part-cases.ts';
import { rowCases } from './row-cases.ts';
import { thresholdCases } from './threshold-cases.ts';

/** Random cases of every operation; an operation without cases does not compile. */
export const operationCases: CaseTable = {
  ...rowCases,
  ...attentionCases,
  ...moeCases,
  ...biasCases,
  ...capacityCases,
  ...choiceCases,
  ...thresholdCases,
  ...optimizerCases,
  ...partCases,
};
