import { isObject } from '../../upstream/json.ts';
import { textOf } from '../values.ts';

/** Says something of the answer, not of the registration. */
const PASSING = ['notices', 'remarks', 'links', 'rdapConformance', 'lang', 'port43'];

/** The event that is another at every look. */
const CHECKED = 'last update of rdap database';

/** Lists without an order. Others, as a property of a card, have one. */
const SETS = [
  'status',
  'events',
  'nameservers',
  'entities',
  'roles',
  'publicIds',
  'dsData',
  'keyData',
  'redacted',
  'v4',
  'v6',
  'variants',
  'variantNames',
  'properties',
];

/** No answer is nested this deep; what lies deeper makes no difference. */
const DEPTH_MAX = 64;

/**
 * The text of a domain object that changes only with the registration: keys and sets are in one order, names in one
 * case, and what says when or how the server answered is left out.
 */
export function stableText(value: unknown, { key = '', depth = 0 }: { key?: string; depth?: number } = {}): string {
  if (depth > DEPTH_MAX) return 'null';
  if (Array.isArray(value)) {
    const texts = value
      .filter(item => !isCheck(item))
      .map((item, n) => stableText(item, { key: placed(key, n), depth: depth + 1 }));
    return `[${(SETS.includes(key) ? texts.sort() : texts).join(',')}]`;
  }
  if (!isObject(value))
    return JSON.stringify(key === 'ldhName' && typeof value === 'string' ? plain(value) : value) ?? 'null';
  const members = Object.keys(value)
    .filter(name => !PASSING.includes(name))
    .sort()
    .map(name => `${JSON.stringify(name)}:${stableText(value[name], { key: name, depth: depth + 1 })}`);
  return `{${members.join(',')}}`;
}

/** The key an item of a list is read by: behind the word `vcard` are a card's properties, a set. */
function placed(key: string, place: number): string {
  return key === 'vcardArray' && place === 1 ? 'properties' : '';
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function isCheck(item: unknown): boolean {
  return isObject(item) && textOf(item.eventAction)?.toLowerCase() === CHECKED;
}
