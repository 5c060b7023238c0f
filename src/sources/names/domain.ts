// Kept because it is released with a new public suffix list several times a month, as a compact trie that runs anywhere.
import { parse } from 'tldts';
import { isALabel, mixesScripts, unicodeOf } from './label.ts';

/** Octets of a label and of a name without its last dot, as text: RFC 1035 section 2.3.4. */
const LABEL_LENGTH_MAX = 63;
const NAME_LENGTH_MAX = 253;

/** Nothing longer is looked at: mapping shortens a text, but hardly to a quarter. UTF-16 units. */
const TEXT_LENGTH_MAX = 4 * NAME_LENGTH_MAX;

/**
 * Names that are no one's to register: IANA's special-use domain names, and ICANN's `internal`. `example.com` and its
 * like are on IANA's list too, but are registered and have an RDAP answer, so they may be watched.
 */
const SPECIAL_USE = new Set(['alt', 'arpa', 'example', 'internal', 'invalid', 'local', 'localhost', 'onion', 'test']);

/** Why a text is not taken as a domain, and what a person is told. No text quotes what was sent. */
export const DOMAIN_REJECTIONS = {
  'not-text': 'expected a domain as text, got another kind of value',
  empty: 'expected a domain, got nothing but white space',
  url: 'expected a domain alone, got a URL, or a path or port with it',
  email: 'expected a domain alone, got an email address',
  address: 'expected a domain, got an IP address',
  'control-character': 'expected characters one can see, got a control or invisible character',
  'forbidden-character':
    'expected letters, digits and hyphens, got a character no domain may have, or not in its place',
  'label-too-long': `expected at most ${LABEL_LENGTH_MAX} octets between two dots, got more`,
  'name-too-long': `expected a name of at most ${NAME_LENGTH_MAX} octets, got a longer one`,
  'empty-label': 'expected something between two dots and before the first, got nothing',
  hyphen: 'expected hyphens inside a label only and none as its third and fourth character, got one elsewhere',
  'mixed-scripts':
    'expected each label in one script or in scripts that go together, got a mixture such as Latin and Cyrillic',
  'invalid-punycode': 'expected an "xn--" label that stands for its own Unicode form, got one that does not',
  'public-suffix': 'expected a domain below a public suffix, got the suffix itself',
  'unknown-tld': 'expected a top-level domain that exists, got one that is not on the public suffix list',
  'special-use': 'expected a domain someone can register, got a name kept for special use, such as .test or .internal',
} as const;

export type DomainRejection = keyof typeof DOMAIN_REJECTIONS;

/**
 * The registrable domain a text names, and its registry: the top-level domain. Both are lower-case A-labels without a
 * last dot; `registry` is the last label of `domain`. Only the ICANN section of the public suffix list counts, so that
 * `a.github.io` belongs to `github.io`. Unicode is mapped by UTS 46, non-transitional, as the WHATWG URL does.
 * Throws nothing.
 */
export function readDomain(text: unknown): { domain: string; registry: string } | { rejected: DomainRejection } {
  if (typeof text !== 'string') return { rejected: 'not-text' };
  const written = text.trim();
  const refused = faultOfText(written);
  if (refused !== null) return { rejected: refused };
  const ascii = /[^a-z\d.-]/i.test(written) ? toAscii(written) : written.toLowerCase();
  if (ascii === null) return { rejected: /xn--/i.test(written) ? 'invalid-punycode' : 'forbidden-character' };
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  const fault = faultOfName(name);
  return fault === null ? registrable(name) : { rejected: fault };
}

/** What is wrong with a text before its characters are mapped: afterwards a URL's parser would have read them its way. */
function faultOfText(text: string): DomainRejection | null {
  if (text === '') return 'empty';
  if (text.length > TEXT_LENGTH_MAX) return 'name-too-long';
  // The joiners are letters' neighbours in some scripts: the mapping knows where they may stand.
  if (/[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/u.test(text)) return 'control-character';
  if (isAddress(text)) return 'address';
  if (/^[^/]*@/.test(text)) return 'email';
  if (/[/\\?#:]/.test(text)) return 'url';
  return /(?![a-z\d.-])[\0-\x7f]/i.test(text) ? 'forbidden-character' : null;
}

/** An address of version 4 or 6, also with a port, a zone or the length of a prefix. */
function isAddress(text: string): boolean {
  if (/^\d+(\.\d+){3}([:/]\d+)?$/.test(text)) return true;
  return text.split(':').length > 2 && /^\[?[\da-f:.]+(%\w+)?\]?(:\d+|\/\d+)?$/i.test(text);
}

/**
 * A name as A-labels in lower case; null when UTS 46 refuses it. The label added at its end keeps the parser from taking
 * a name that ends in a number for an address. It lets pass what no name may have: that is looked at afterwards.
 */
function toAscii(name: string): string | null {
  return URL.parse(`http://${name}.a`)?.hostname.slice(0, -2) ?? null;
}

function faultOfName(name: string): DomainRejection | null {
  const labels = name.split('.');
  for (const label of labels) {
    const fault = faultOfLabel(label);
    if (fault !== null) return fault;
  }
  if (name.length > NAME_LENGTH_MAX) return 'name-too-long';
  // A parser of URLs takes `127.1` and `0x7f.0.0.1` for addresses too.
  return labels.every(label => /^(\d+|0x[\da-f]*)$/.test(label)) ? 'address' : null;
}

function faultOfLabel(label: string): DomainRejection | null {
  if (label === '') return 'empty-label';
  if (label.length > LABEL_LENGTH_MAX) return 'label-too-long';
  if (!/^[a-z\d-]+$/.test(label)) return 'forbidden-character';
  if (!isALabel(label)) return label.startsWith('-') || label.endsWith('-') ? 'hyphen' : null;
  const unicode = unicodeOf(label);
  // The parser of URLs does not look into each "xn--" label, and not the same way in every version.
  if (unicode === null || toAscii(unicode) !== label) return 'invalid-punycode';
  if (unicode.startsWith('-') || unicode.endsWith('-') || unicode.startsWith('--', 2)) return 'hyphen';
  return mixesScripts(unicode) ? 'mixed-scripts' : null;
}

/** Looks a well-formed name up in the list. */
function registrable(name: string): { domain: string; registry: string } | { rejected: DomainRejection } {
  const registry = name.slice(name.lastIndexOf('.') + 1);
  if (SPECIAL_USE.has(registry)) return { rejected: 'special-use' };
  const { domain, isIcann } = parse(name, {
    allowPrivateDomains: false,
    extractHostname: false,
    validateHostname: false,
    detectIp: false,
  });
  if (isIcann !== true) return { rejected: 'unknown-tld' };
  if (domain === null) return { rejected: 'public-suffix' };
  // Registries keep such labels back (RFC 5890 section 2.3.1); the names of hosts below a domain may be like it.
  if (domain.startsWith('--', 2) && !isALabel(domain)) return { rejected: 'hyphen' };
  return { domain, registry };
}
