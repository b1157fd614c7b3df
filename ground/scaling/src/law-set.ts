/** `L = c + (g/G^γ + a)·N^-α + b·D^-β`: N all parameters, D tokens, G granularity (arXiv:2402.07871, eq. 9). */
export interface GranularLaw {
  readonly a: number;
  readonly alpha: number;
  readonly b: number;
  readonly beta: number;
  readonly g: number;
  readonly gamma: number;
  readonly c: number;
}

/** `L = c + a·N^-α + b·D^-β`. */
export interface DenseLaw {
  readonly a: number;
  readonly alpha: number;
  readonly b: number;
  readonly beta: number;
  readonly c: number;
}

/** `L = a·Ê^δ·N^(α + γ ln Ê) + b·Ê^ω·D^(β + ζ ln Ê) + c`: N active parameters, Ê from the number of experts (arXiv:2502.05172). */
export interface JointLaw {
  readonly a: number;
  readonly delta: number;
  readonly alpha: number;
  readonly gamma: number;
  readonly b: number;
  readonly omega: number;
  readonly beta: number;
  readonly zeta: number;
  readonly c: number;
  readonly expertsStart: number;
  readonly expertsMost: number;
}

/** Coefficients that were fitted together, and what there is to know about them. */
export interface LawSet {
  readonly name: string;
  /** Paper, table or command that they come from. */
  readonly source: string;
  readonly note: string;
  /** Largest parameters and tokens of the runs that they were fitted to; without tokens: not known. */
  readonly fitted: { readonly paramsMost: number; readonly tokensMost?: number };
  /** Parameters of the experts of a layer over those of a dense FFN; only with `granular`. */
  readonly expansion?: number;
  readonly granular?: GranularLaw;
  readonly dense?: DenseLaw;
  readonly joint?: JointLaw;
}
