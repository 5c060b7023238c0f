/** The standard normal's 97.5 % point: 95 % lie within it on both sides. */
const Z = 1.959963984540054;

/** A share and the bounds it lies between with 95 % confidence. */
export interface Share {
  share: number;
  low: number;
  high: number;
}

/**
 * `hits` of `trials` as a share with its Wilson score interval (Wilson 1927), which holds near 0 and 1 and for few
 * trials as well. Null where nothing was tried.
 */
export function wilson(hits: number, trials: number): Share | null {
  if (trials === 0) return null;
  const share = hits / trials;
  const squared = Z * Z;
  const middle = (hits + squared / 2) / (trials + squared);
  const reach = (Z / (trials + squared)) * Math.sqrt(trials * share * (1 - share) + squared / 4);
  // At the ends a bound is the share itself, and only rounding says otherwise.
  return { share, low: hits === 0 ? 0 : middle - reach, high: hits === trials ? 1 : middle + reach };
}
