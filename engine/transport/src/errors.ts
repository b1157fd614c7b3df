import { TroupeError, type NodeId } from '@troupe/core';

/** No endpoint is known for a node: it is not in the topology, or nobody told this transport yet. */
export class UnknownPeerError extends TroupeError {
  override readonly name = 'UnknownPeerError';
  constructor(node: NodeId) {
    super(
      'TROUPE_TRANSPORT_UNKNOWN_PEER',
      `no endpoint is known for node '${node}'; name it with setPeers first`,
      {
        details: { node },
      },
    );
  }
}

/** The transport was closed, by its owner or because its packet handler threw. */
export class TransportClosedError extends TroupeError {
  override readonly name = 'TransportClosedError';
  constructor(node: NodeId) {
    super('TROUPE_TRANSPORT_CLOSED', `the transport of node '${node}' is closed`, { details: { node } });
  }
}

/** A packet above a limit, refused before it is queued. */
export class OversizeError extends TroupeError {
  override readonly name = 'OversizeError';
  constructor(what: string, found: number, limit: number, unit: 'bytes' | 'frames') {
    super('TROUPE_TRANSPORT_OVERSIZE', `${what} is ${found} ${unit}, limit ${limit} ${unit}; split it`, {
      details: { what, found, limit, unit },
    });
  }
}

/** The peer went away before it took the packet; whether it saw the packet is not known. Retryable: its next life may take it. */
export class PeerLostError extends TroupeError {
  override readonly name = 'PeerLostError';
  constructor(node: NodeId, reason: string) {
    super('TROUPE_TRANSPORT_PEER_LOST', `node '${node}' went away before it took the packet: ${reason}`, {
      retryable: true,
      details: { node, reason },
    });
  }
}

/** Somebody else listens there. */
export class AddressInUseError extends TroupeError {
  override readonly name = 'AddressInUseError';
  constructor(endpoint: string, cause?: unknown) {
    super('TROUPE_TRANSPORT_ADDRESS_IN_USE', `${endpoint} is in use; choose port 0 or another path`, {
      retryable: true,
      details: { endpoint },
      cause,
    });
  }
}

/** An endpoint that cannot be bound or connected: malformed, too long, no such interface. */
export class EndpointError extends TroupeError {
  override readonly name = 'EndpointError';
  constructor(endpoint: string, problem: string, cause?: unknown) {
    super('TROUPE_TRANSPORT_ENDPOINT', `endpoint ${endpoint}: ${problem}`, { details: { endpoint }, cause });
  }
}

/** TCP beyond loopback without CURVE: everybody on the network could read and write. */
export class InsecureTransportError extends TroupeError {
  override readonly name = 'InsecureTransportError';
  constructor(endpoint: string, problem: string) {
    super(
      'TROUPE_TRANSPORT_INSECURE',
      `${endpoint} is refused: ${problem}; give CURVE keys or stay on loopback`,
      {
        details: { endpoint },
      },
    );
  }
}

/** This machine has no address that was asked for, or none that another machine could reach. */
export class AddressError extends TroupeError {
  override readonly name = 'AddressError';
  constructor(problem: string, addresses: readonly string[]) {
    const has = addresses.length === 0 ? 'it has none' : `it has ${addresses.join(', ')}`;
    super('TROUPE_TRANSPORT_ADDRESS', `${problem}; of addresses for other machines ${has}`, {
      details: { addresses },
    });
  }
}

/** Whoever sits where a node should be will not talk to this one, or must not be talked to: keys do not fit. */
export class RefusedError extends TroupeError {
  override readonly name = 'RefusedError';
  constructor(node: NodeId, places: string, run = '') {
    const own = run === '' ? '' : ` (this node has those of run ${run})`;
    super(
      'TROUPE_TRANSPORT_REFUSED',
      `node '${node}' cannot be talked to: ${places}; give both the keys of one run${own}`,
      { details: { node, places, run } },
    );
  }
}
