/** Orders well-formed texts by their UTF-8 bytes, as bounds are ordered. `<` puts emoji before U+E000 to U+FFFF. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Moves surrogates above U+E000 to U+FFFF, which UTF-8 sorts before them. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

const CODE_POINT_MAX = 0x10ffff;
const SURROGATES = { first: 0xd800, after: 0xe000 };

/** The first text in this order after all texts that begin with `prefix`; null when there is none. */
export function textAfter(prefix: string): string | null {
  const points = Array.from(prefix, character => character.codePointAt(0)!);
  while (points.at(-1) === CODE_POINT_MAX) points.pop();
  const last = points.pop();
  if (last === undefined) return null;
  // Skip the surrogates, for which UTF-8 has no bytes.
  const next = last + 1 === SURROGATES.first ? SURROGATES.after : last + 1;
  return String.fromCodePoint(...points, next);
}
