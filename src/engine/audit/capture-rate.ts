/** The 97.5 % point of the standard normal distribution, which leaves 95 % between it and its negative. */
const Z = 1.959963984540054;

/** A share with the bounds of its 95 % confidence interval. */
interface Share {
  share: number;
  low: number;
  high: number;
}

/**
 * The share of `hits` in `trials` with its Wilson score interval (Wilson 1927), which is right near 0 and 1 and for few
 * trials as well. Null without a trial.
 */
export function wilson(hits: number, trials: number): Share | null {
  if (trials === 0) return null;
  const share = hits / trials;
  const squared = Z * Z;
  const middle = (hits + squared / 2) / (trials + squared);
  const reach = (Z / (trials + squared)) * Math.sqrt(trials * share * (1 - share) + squared / 4);
  // At 0 and 1 a bound equals the share, apart from rounding errors.
  return { share, low: hits === 0 ? 0 : middle - reach, high: hits === trials ? 1 : middle + reach };
}
