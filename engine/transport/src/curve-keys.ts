/**
 * Keys of CURVE, Z85 text of 40 characters each. In the simplest set-up all nodes of a run share one pair, and `serverPublic` equals
 * `public`; then only who holds the pair can connect, in either direction.
 */
export interface CurveKeys {
  /** Public key of the nodes we connect to. */
  readonly serverPublic: string;
  readonly public: string;
  readonly secret: string;
  /** Public keys that may connect to us besides `public` and `serverPublic`. */
  readonly authorized?: readonly string[];
}
