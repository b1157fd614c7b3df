// Who holds what: pure functions, and neither the schema nor a parser of topology files comes along.
export * from './rank.ts';
export * from './address.ts';
export * from './holders.ts';
export * from './mesh.ts';
export * from './choice-groups.ts';
export * from './dealing.ts';
export * from './row-chunks.ts';
export * from './stage-plan.ts';
export * from './segment.ts';
export * from './stage-slots.ts';
export * from './parameter-group.ts';
export * from './group-exchange.ts';
export * from './layout.ts';
export * from './expert-seats.ts';
export * from './expert-moves.ts';
export * from '../pipeline.ts';
export * from '../expert-map.ts';
