/** Asks experts on another machine: told their endpoints, its own address and the keys, it says the outputs, and how long a question takes. */
import { connectExperts, type ServiceEndpoints } from 'troupe';
import { onLines, say } from './lines.ts';
import { question } from './served-model.ts';

onLines(async ({ endpoints, host, curve, questions }) => {
  const service = endpoints as ServiceEndpoints;
  const client = await connectExperts({
    endpoints: service,
    listen: { kind: 'tcp', host: String(host) },
    curve: curve as never,
  });
  const asked = question(service.dim, service.experts);
  const outputs = [...(await client.forward(...asked))];
  const startMs = performance.now();
  for (let count = 0; count < Number(questions); count++) await client.forward(...asked);
  say({ outputs, eachMs: (performance.now() - startMs) / Number(questions) });
  await client.close();
});
