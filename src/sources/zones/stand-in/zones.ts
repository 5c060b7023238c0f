import { isWithin, type Name, nameKey, readName } from './names.ts';
import { type DnsRecord, isOf, TYPES } from './record.ts';
import { readZone } from './zone-text.ts';

/** A zone as text in the notation of RFC 1035, one record a line. */
export interface Zone {
  records: string;
  /** Whether its answers carry signatures, and the flag AD. Its DS records stand in its text. */
  signed?: boolean;
  /** Whether each answer has its records in another order, or addresses are others from day to day. */
  rotate?: 'order' | 'set';
}

/** A zone with its records read. */
export interface KnownZone {
  apex: Name;
  records: DnsRecord[];
  signed: boolean;
  rotate: Zone['rotate'] | null;
}

/** Addresses of a set that rotates come in so many parts, one a day. */
const SET_PARTS = 3;

/** Values of the invented SOA record of a zone above, in the form of a registry's. */
const PARENT_TIMES = '2026112500 1800 900 604800 900';

/** All zones that both resolvers know. */
export class Zones {
  #zones = new Map<string, KnownZone>();

  /** Replaces or adds a zone; null removes it. Throws when a line is no record of the zone. */
  set(domain: string, zone: Zone | null): void {
    const apex = readName(`${domain}.`, []);
    if (zone === null) {
      this.#zones.delete(nameKey(apex));
      return;
    }
    const records = readZone(zone.records, domain);
    const outside = records.find(({ owner }) => !isWithin(owner, apex));
    if (outside) throw new Error(`zone ${domain}: expected owners within it, got ${nameKey(outside.owner)}`);
    this.#zones.set(nameKey(apex), { apex, records, signed: zone.signed ?? false, rotate: zone.rotate ?? null });
  }

  /** The zone that a name is in; null when no zone has it. */
  of(name: Name): KnownZone | null {
    for (let from = 0; from < name.length; from++) {
      const zone = this.#zones.get(nameKey(name.slice(from)));
      if (zone) return zone;
    }
    return null;
  }
}

/** The records that a name has in its zone, a wildcard's under the name itself (RFC 4592); null when it has no such name. */
export function recordsAt({ apex, records }: KnownZone, name: Name): DnsRecord[] | null {
  const own = records.filter(({ owner }) => isWithin(owner, name));
  if (own.length > 0 || nameKey(name) === nameKey(apex)) return own.filter(record => isOf(record, name));
  let closest = name.slice(1);
  while (closest.length > apex.length && !records.some(({ owner }) => isWithin(owner, closest)))
    closest = closest.slice(1);
  const wild = records.filter(record => isOf(record, ['*', ...closest]));
  return wild.length === 0 ? null : wild.map(record => ({ ...record, owner: name }));
}

/** The SOA record of a zone; null where its text has none, as of a domain that is no zone of its own. */
export function soaOf({ apex, records }: KnownZone): DnsRecord | null {
  return records.find(record => isOf(record, apex, TYPES.SOA)) ?? null;
}

/** The invented SOA record of the zone above a domain, which is its public suffix. */
export function parentSoa(domain: Name): DnsRecord {
  const parent = domain.slice(1);
  const suffix = nameKey(parent);
  const registry = parent.length === 0 ? 'nic.' : `nic.${suffix}`;
  const text = `@ 900 SOA a.${registry} hostmaster.${registry} ${PARENT_TIMES}`;
  return readZone(text, suffix.slice(0, -1))[0]!;
}

/** A set of records as a zone that rotates gives it: on a day since the start, to so many earlier answers. */
export function rotated(
  set: DnsRecord[],
  rotate: Zone['rotate'] | null,
  { day, earlier }: { day: number; earlier: number },
): DnsRecord[] {
  const shift = (by: number) => set.map((_, index) => set[(index + by) % set.length]!);
  if (rotate === 'order') return shift(earlier);
  if (rotate !== 'set' || !isAddress(set[0]!)) return set;
  const size = Math.ceil(set.length / SET_PARTS);
  return shift(day * size).slice(0, size);
}

function isAddress({ type }: DnsRecord): boolean {
  return type === TYPES.A || type === TYPES.AAAA;
}
