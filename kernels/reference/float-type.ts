/** How the reference body stores floats; it always computes in float64. */
export type FloatType = 'f32' | 'f64';
