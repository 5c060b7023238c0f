// punycode.js decodes labels. Not tr46, because its UTS 46 tables add 65 KiB (gzip) to the worker, and the runtime's `URL`
// maps by UTS 46 already. Not the package `punycode`, the same code, because Node has a built-in module of that name.
// @ts-expect-error the package has no types
import punycode from 'punycode.js';

const decode: (encoded: string) => string = punycode.decode;

/** The prefix of an A-label (RFC 5890); Punycode follows. */
const PREFIX = 'xn--';

/** Scripts that one label may combine: the "highly restrictive" level of UTS 39, section 5.2. */
const COMBINED_SCRIPTS = [
  ['Latn', 'Hani', 'Hira', 'Kana'],
  ['Latn', 'Hani', 'Bopo'],
  ['Latn', 'Hani', 'Hang'],
];

/** Scripts in use today that a label combines with no other: recommended, then limited use (UAX 31, tables 5 and 7). */
const SINGLE_SCRIPTS = (
  'Cyrl Grek Arab Hebr Thai Deva Beng Taml Telu Gujr Guru Knda Mlym Orya Sinh Armn Geor Ethi Khmr Laoo ' +
  'Mymr Thaa Tibt Adlm Bali Bamu Batk Cakm Cans Cham Cher Java Kali Lana Lepc Limb Lisu Mand Mong Mtei ' +
  'Newa Nkoo Olck Plrd Saur Sund Sylo Syrc Tale Talu Tavt Tfng Vaii Yiii'
).split(' ');

/** Characters of every script, and marks that take the script of the character before them. */
const COMMON = String.raw`\p{scx=Zyyy}\p{scx=Zinh}`;

/** A label is written in one way if one of these matches it. */
const ONE_WRITING = [
  ...[...COMBINED_SCRIPTS, ...SINGLE_SCRIPTS.map(script => [script])].map(
    scripts => new RegExp(`^[${COMMON}${scripts.map(script => `\\p{scx=${script}}`).join('')}]*$`, 'u'),
  ),
  // Historic scripts are rare, so they count as one script.
  new RegExp(
    `^[^${[...new Set(COMBINED_SCRIPTS.flat()), ...SINGLE_SCRIPTS].map(script => `\\p{sc=${script}}`).join('')}]*$`,
    'u',
  ),
];

/** Whether a label in lower case begins as an A-label; what follows may be no Punycode. */
export function isALabel(label: string): boolean {
  return label.startsWith(PREFIX);
}

/**
 * The characters that an A-label (lower case, `xn--…`) encodes; null when it is not Punycode (RFC 3492). The
 * result may be ASCII, or characters that UTS 46 maps to others: then its own A-label differs from the given one.
 */
export function unicodeOf(label: string): string | null {
  try {
    return decode(label.slice(PREFIX.length));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Whether a label in Unicode mixes scripts that UTS 39 does not combine, as Latin and Cyrillic. */
export function mixesScripts(label: string): boolean {
  return !ONE_WRITING.some(writing => writing.test(label));
}
