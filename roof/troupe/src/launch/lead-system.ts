import type { ProgramSystem } from '@troupe/actors';
import { nodeId, type Clock } from '@troupe/core';
import { leadNode, type Layout, type ResolvedTopology } from '@troupe/topology';
import type { ZmqTransport } from '@troupe/transport';
import { createJobSystem } from '../job-system.ts';
import { reportsOf } from '../run/reports.ts';
import { homeOf, type AgentPlace } from './homes.ts';
import type { LaunchedOptions } from './launched-processes.ts';

interface LeadSystemOptions extends Pick<LaunchedOptions, 'logger' | 'recorder' | 'unjudged'> {
  readonly layout: Layout;
  readonly agents: AgentPlace;
  readonly transport: ZmqTransport;
  readonly clock: Clock;
}

/** The system of the lead, in the process that launches, over sockets that reach everybody. */
export const openLeadSystem = (
  topology: ResolvedTopology,
  { layout, agents, transport, clock, logger, recorder, unjudged }: LeadSystemOptions,
): ProgramSystem =>
  createJobSystem({
    node: nodeId(leadNode),
    topology,
    reports: reportsOf(layout, leadNode, { storeIsBesideLead: agents === 'on their machines' }),
    home: homeOf(topology, agents),
    transport,
    clock,
    logger,
    schedule: (run) => void setImmediate(run),
    unjudged,
    ...(recorder === null ? {} : { probe: recorder }),
  });
