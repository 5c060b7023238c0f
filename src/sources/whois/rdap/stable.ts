import { isObject } from '../../upstream/json.ts';
import { textOf } from '../values.ts';

/** Members about the answer, not about the registration. */
const VOLATILE_MEMBERS = ['notices', 'remarks', 'links', 'rdapConformance', 'lang', 'port43'];

/** The event that differs at every visit. */
const CHECK_ACTION = 'last update of rdap database';

/** Lists without an order. The order of others, such as a card's property, counts. */
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

/** No answer is nested this deep; deeper values are ignored. */
const DEPTH_MAX = 64;

/**
 * A text of a domain object that changes only with the registration: keys and sets are sorted, names are in lower case, and
 * members about the answer are left out.
 */
export function stableText(value: unknown, { key = '', depth = 0 }: { key?: string; depth?: number } = {}): string {
  if (depth > DEPTH_MAX) return 'null';
  if (Array.isArray(value)) {
    const texts = value
      .filter(item => !isCheckEvent(item))
      .map((item, index) => stableText(item, { key: keyOfItem(key, index), depth: depth + 1 }));
    return `[${(SETS.includes(key) ? texts.sort() : texts).join(',')}]`;
  }
  if (!isObject(value))
    return JSON.stringify(key === 'ldhName' && typeof value === 'string' ? plainName(value) : value) ?? 'null';
  const members = Object.keys(value)
    .filter(name => !VOLATILE_MEMBERS.includes(name))
    .sort()
    .map(name => `${JSON.stringify(name)}:${stableText(value[name], { key: name, depth: depth + 1 })}`);
  return `{${members.join(',')}}`;
}

/** The key under which an item of a list is read: the second item of a `vcardArray` is a set of properties. */
function keyOfItem(key: string, index: number): string {
  return key === 'vcardArray' && index === 1 ? 'properties' : '';
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function isCheckEvent(item: unknown): boolean {
  return isObject(item) && textOf(item.eventAction)?.toLowerCase() === CHECK_ACTION;
}
