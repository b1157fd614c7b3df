/**
 * Keys of CURVE, Z85 text of 40 characters each.
 *
 * A run gives each machine a pair of its own, and `nodes` says which key each node has. Where all share one pair, `serverPublic` equals
 * `public`; then only who holds the pair can connect, in either direction.
 */
export interface CurveKeys {
  readonly public: string;
  readonly secret: string;
  /** Public keys by node: a node is called under its key, and heard under it alone. Looked at each time, so it may grow. */
  readonly nodes?: ReadonlyMap<string, string>;
  /** Public key under which nodes are called that `nodes` lacks. */
  readonly serverPublic?: string;
  /** Public keys besides `public` and `serverPublic` that may speak for nodes that `nodes` lacks: the first one of a name stays its own. */
  readonly authorized?: readonly string[];
}
