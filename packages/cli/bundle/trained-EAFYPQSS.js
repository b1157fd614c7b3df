import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
import {
  TrainedModel
} from "./chunk-LGOQTQFJ.js";
import {
  openRun,
  runOfPath
} from "./chunk-QARYORQO.js";
import "./chunk-VRYBNUKX.js";
import {
  loadDevice
} from "./chunk-YHPICGTS.js";
import "./chunk-VTPYBM4G.js";
import "./chunk-IEL6CF5I.js";
import "./chunk-K7SOYNM4.js";
import "./chunk-RTBJM3FJ.js";
import "./chunk-J3KKUFZH.js";
import "./chunk-JUIDX3IZ.js";
import "./chunk-E7AC55FK.js";
import {
  __name
} from "./chunk-MDDKBFTF.js";

// packages/cli/dist/trained.js
import { availableParallelism } from "node:os";
async function withTrainedModel(path, options, act) {
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  const run = await openRun(folder, { verify: "lazy", ...asked === null ? {} : { checkpoint: asked } });
  try {
    const device = await loadDevice({
      body: run.topology.device,
      threads: options.threads ?? availableParallelism()
    });
    try {
      return await act({ model: await TrainedModel.load(device, run), folder });
    } finally {
      await device.close();
    }
  } finally {
    await run.checkpoint.close();
  }
}
__name(withTrainedModel, "withTrainedModel");
export {
  withTrainedModel
};
//# sourceMappingURL=trained-EAFYPQSS.js.map
