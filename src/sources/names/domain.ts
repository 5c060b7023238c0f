// tldts, because each of its releases, several a month, has the current public suffix list, and it runs without Node.
import { parse } from 'tldts';
import { isALabel, mixesScripts, unicodeOf } from './label.ts';

/** Octets of a label, and of a name as text without its last dot (RFC 1035, section 2.3.4). */
const LABEL_LENGTH_MAX = 63;
export const NAME_LENGTH_MAX = 253;

/** In UTF-16 units. Mapping shortens a text, but hardly to a quarter, so a longer text is no name. */
const TEXT_LENGTH_MAX = 4 * NAME_LENGTH_MAX;

/**
 * Top-level domains below which nothing can be registered: IANA's special-use domain names, and ICANN's `internal`.
 * `example.com` is on IANA's list too, but it is registered and has an RDAP answer, so it may be watched.
 */
const SPECIAL_USE = new Set(['alt', 'arpa', 'example', 'internal', 'invalid', 'local', 'localhost', 'onion', 'test']);

/** The reasons why a text is no domain, each with what was expected and got. No sentence quotes the text. */
export const DOMAIN_REJECTIONS = {
  'not-text': 'expected a domain as text, got another kind of value',
  empty: 'expected a domain, got nothing but white space',
  url: 'expected a domain without path or port, got a URL',
  email: 'expected a domain, got an email address',
  address: 'expected a domain, got an IP address',
  'control-character': 'expected visible characters, got a control or invisible character',
  'forbidden-character':
    'expected letters, digits and hyphens, got a character that no domain has, or not at this position',
  'label-too-long': `expected at most ${LABEL_LENGTH_MAX} octets between two dots, got more`,
  'name-too-long': `expected a name of at most ${NAME_LENGTH_MAX} octets, got a longer one`,
  'empty-label': 'expected characters before each dot, got none',
  hyphen: 'expected hyphens only inside a label and not as its third and fourth character, got others',
  'mixed-scripts':
    'expected each label in one script or in scripts used together, got a mixture such as Latin and Cyrillic',
  'invalid-punycode': 'expected an "xn--" label that encodes its own Unicode form, got another',
  'public-suffix': 'expected a domain below a public suffix, got the suffix',
  'unknown-tld': 'expected a top-level domain of the public suffix list, got another',
  'special-use':
    'expected a domain that can be registered, got a name reserved for special use, such as .test or .internal',
} as const;

export type DomainRejection = keyof typeof DOMAIN_REJECTIONS;

/**
 * The registrable domain that a text names, and its registry, which is the top-level domain. Both are A-labels in lower
 * case without a last dot. Only the ICANN section of the public suffix list counts, so `a.github.io` gives `github.io`.
 * UTS 46 maps Unicode, non-transitional, as in the WHATWG URL. Throws nothing.
 */
export function readDomain(text: unknown): { domain: string; registry: string } | { rejected: DomainRejection } {
  if (typeof text !== 'string') return { rejected: 'not-text' };
  const trimmed = text.trim();
  const textFault = faultOfText(trimmed);
  if (textFault !== null) return { rejected: textFault };
  const ascii = /[^a-z\d.-]/i.test(trimmed) ? toAscii(trimmed) : trimmed.toLowerCase();
  if (ascii === null) return { rejected: /xn--/i.test(trimmed) ? 'invalid-punycode' : 'forbidden-character' };
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  const nameFault = faultOfName(name);
  return nameFault === null ? registrable(name) : { rejected: nameFault };
}

/** What is wrong with a text before it is mapped: the URL parser would read such a text as something else. */
function faultOfText(text: string): DomainRejection | null {
  if (text === '') return 'empty';
  if (text.length > TEXT_LENGTH_MAX) return 'name-too-long';
  // Some scripts need joiners between letters; the mapping refuses them elsewhere.
  if (/[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/u.test(text)) return 'control-character';
  if (isAddress(text)) return 'address';
  if (/^[^/]*@/.test(text)) return 'email';
  if (/[/\\?#:]/.test(text)) return 'url';
  return /(?![a-z\d.-])[\0-\x7f]/i.test(text) ? 'forbidden-character' : null;
}

/** An IPv4 or IPv6 address, also with a port, a zone or a prefix length. */
function isAddress(text: string): boolean {
  if (/^\d+(\.\d+){3}([:/]\d+)?$/.test(text)) return true;
  return text.split(':').length > 2 && /^\[?[\da-f:.]+(%\w+)?\]?(:\d+|\/\d+)?$/i.test(text);
}

/**
 * A name as A-labels in lower case; null when UTS 46 refuses it. Its ASCII characters are not checked, and must be none
 * that means something in a URL. The added label keeps the URL parser from reading a last number as an address.
 */
export function toAscii(name: string): string | null {
  return URL.parse(`http://${name}.a`)?.hostname.slice(0, -2) ?? null;
}

function faultOfName(name: string): DomainRejection | null {
  const labels = name.split('.');
  for (const label of labels) {
    const fault = faultOfLabel(label);
    if (fault !== null) return fault;
  }
  if (name.length > NAME_LENGTH_MAX) return 'name-too-long';
  // URL parsers read `127.1` and `0x7f.0.0.1` as addresses too.
  return labels.every(label => /^(\d+|0x[\da-f]*)$/.test(label)) ? 'address' : null;
}

function faultOfLabel(label: string): DomainRejection | null {
  if (label === '') return 'empty-label';
  if (label.length > LABEL_LENGTH_MAX) return 'label-too-long';
  if (!/^[a-z\d-]+$/.test(label)) return 'forbidden-character';
  if (!isALabel(label)) return label.startsWith('-') || label.endsWith('-') ? 'hyphen' : null;
  const unicode = unicodeOf(label);
  // The URL parser does not check every "xn--" label, and its versions differ.
  if (unicode === null || toAscii(unicode) !== label) return 'invalid-punycode';
  if (unicode.startsWith('-') || unicode.endsWith('-') || unicode.startsWith('--', 2)) return 'hyphen';
  return mixesScripts(unicode) ? 'mixed-scripts' : null;
}

/** The public suffix list's answer for a well-formed name. */
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
  // Such labels are reserved in a registry (RFC 5890, section 2.3.1), but not for hosts below a domain.
  if (domain.startsWith('--', 2) && !isALabel(domain)) return { rejected: 'hyphen' };
  return { domain, registry };
}
