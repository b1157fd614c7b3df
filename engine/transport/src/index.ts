export { addressesToOffer, type MachineInterfaces, type OfferChoice } from './addresses.ts';
export type { CurveKeys } from './curve-keys.ts';
export { newCurvePair } from './curve-pair.ts';
export { ipcPathBytesMax, type Listen } from './endpoints.ts';
export * from './errors.ts';
export type { Endpoints, Place } from './hello.ts';
export { defaultCreditBytes, defaultMaxFrameBytes, packetBytes, type CreditBytes } from './limits.ts';
export * from './memory.ts';
export { openZmqTransport, type PeerResolver, type ZmqTransport, type ZmqTransportOptions } from './zmq.ts';
