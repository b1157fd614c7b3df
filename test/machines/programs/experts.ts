/** The experts of a layer on a machine of a lab: it is told where to listen and with which keys, and says where it is asked. */
import { serveExperts } from 'troupe';
import { servedModel, weightsOf, LAYER } from './served-model.ts';
import { onLines, say } from './lines.ts';

onLines(async ({ host, curve }) => {
  const service = await serveExperts({
    model: servedModel(),
    layer: LAYER,
    weights: weightsOf,
    listen: { kind: 'tcp', host: String(host) },
    curve: curve as never,
  });
  say({ endpoints: service.endpoints });
});
