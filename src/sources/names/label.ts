/** The label prefix of RFC 5890: what follows is Punycode. */
const PREFIX = 'xn--';

/** The parameters of Punycode, RFC 3492 section 5. */
const BASE = 36;
const THRESHOLD_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const BIAS = 72;
const POINT = 0x80;

const POINT_MAX = 0x10_ffff;

/** What one label may be written in together, at the "highly restrictive" level of UTS 39, section 5.2. */
const TOGETHER = [
  ['Latn', 'Hani', 'Hira', 'Kana'],
  ['Latn', 'Hani', 'Bopo'],
  ['Latn', 'Hani', 'Hang'],
];

/** The other scripts in use today, alone: recommended, then of limited use (UAX 31, tables 5 and 7). */
const ALONE = [
  'Cyrl',
  'Grek',
  'Arab',
  'Hebr',
  'Thai',
  'Deva',
  'Beng',
  'Taml',
  'Telu',
  'Gujr',
  'Guru',
  'Knda',
  'Mlym',
  'Orya',
  'Sinh',
  'Armn',
  'Geor',
  'Ethi',
  'Khmr',
  'Laoo',
  'Mymr',
  'Thaa',
  'Tibt',
  'Adlm',
  'Bali',
  'Bamu',
  'Batk',
  'Cakm',
  'Cans',
  'Cham',
  'Cher',
  'Java',
  'Kali',
  'Lana',
  'Lepc',
  'Limb',
  'Lisu',
  'Mand',
  'Mong',
  'Mtei',
  'Newa',
  'Nkoo',
  'Olck',
  'Plrd',
  'Saur',
  'Sund',
  'Sylo',
  'Syrc',
  'Tale',
  'Talu',
  'Tavt',
  'Tfng',
  'Vaii',
  'Yiii',
];

/** What is common to all scripts, or takes that of the character before it. */
const SHARED = String.raw`\p{scx=Zyyy}\p{scx=Zinh}`;

const ONE_WRITING = [
  ...[...TOGETHER, ...ALONE.map(script => [script])].map(
    scripts => new RegExp(`^[${SHARED}${scripts.map(script => `\\p{scx=${script}}`).join('')}]*$`, 'u'),
  ),
  // Scripts of the past are few and far between: they count as one.
  new RegExp(`^[^${[...new Set(TOGETHER.flat()), ...ALONE].map(script => `\\p{sc=${script}}`).join('')}]*$`, 'u'),
];

/** Whether a label says that it is Punycode; lower case. */
export function isALabel(label: string): boolean {
  return label.startsWith(PREFIX);
}

/**
 * The characters of an A-label (lower case, `xn--…`); null when they cannot be read, or are ASCII only. What comes back
 * need not be in the one form that gives this A-label again.
 */
export function unicodeOf(label: string): string | null {
  const encoded = label.slice(PREFIX.length);
  const delimiter = encoded.lastIndexOf('-');
  const points = [...encoded.slice(0, Math.max(0, delimiter))].map(character => character.codePointAt(0)!);
  const start = delimiter > 0 ? delimiter + 1 : 0;
  if (start === encoded.length) return null;
  let point = POINT;
  let bias = BIAS;
  let index = 0;
  for (let at = start; at < encoded.length; ) {
    const read = readNumber(encoded, at, bias);
    if (read === null) return null;
    const length = points.length + 1;
    bias = adapt(read.number, length, at === start);
    index += read.number;
    point += Math.floor(index / length);
    index %= length;
    if (!(point <= POINT_MAX) || (point >= 0xd800 && point <= 0xdfff)) return null;
    points.splice(index, 0, point);
    index += 1;
    at = read.end;
  }
  return String.fromCodePoint(...points);
}

/** Whether a label in Unicode is written in scripts that do not belong together, as Latin and Cyrillic. */
export function mixesScripts(label: string): boolean {
  return !ONE_WRITING.some(writing => writing.test(label));
}

/** One number of variable length, and where it ends; null when the text ends before it or has a digit that is none. */
function readNumber(encoded: string, start: number, bias: number): { number: number; end: number } | null {
  let number = 0;
  let weight = 1;
  for (let at = start, step = BASE; at < encoded.length; at++, step += BASE) {
    const digit = Number.parseInt(encoded[at]!, BASE);
    if (Number.isNaN(digit)) return null;
    // Punycode's digits begin with the letters.
    const value = digit < 10 ? digit + 26 : digit - 10;
    number += value * weight;
    const threshold = Math.min(Math.max(step - bias, 1), THRESHOLD_MAX);
    if (value < threshold) return { number, end: at + 1 };
    weight *= BASE - threshold;
  }
  return null;
}

/** How the thresholds move with the last number read, RFC 3492 section 6.1. */
function adapt(number: number, length: number, isFirst: boolean): number {
  let delta = Math.floor(number / (isFirst ? DAMP : 2));
  delta += Math.floor(delta / length);
  let bias = 0;
  while (delta > ((BASE - 1) * THRESHOLD_MAX) / 2) {
    delta = Math.floor(delta / (BASE - 1));
    bias += BASE;
  }
  return bias + Math.floor((BASE * delta) / (delta + SKEW));
}
