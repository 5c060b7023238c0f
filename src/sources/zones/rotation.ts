import { shortDigest } from '../../digest.ts';
import { DAY } from '../../limits.ts';
import { type DnsRecord, TYPES } from './record.ts';

/** A set that was another one so many visits running is a load balancer's, which gives each asker other addresses. */
const CHANGES_MAX = 3;

/** A set that rotates counts again once it was the same for this long. */
const STILL_MS = 7 * DAY;

/** Sets of addresses that may rotate, by the question that they answer. */
export const ADDRESS_SETS = ['A', 'AAAA', 'www A', 'www AAAA'] as const;

export type AddressSet = (typeof ADDRESS_SETS)[number];

/** What is kept of a set from visit to visit. */
export interface SetFacts {
  digest: string;
  /** Visits running in which it was another set than in the visit before. */
  changes: number;
  /** Only of a set that rotates: since when it has been the same. */
  stillSinceMs?: number;
}

export type AddressSets = Partial<Record<AddressSet, SetFacts>>;

/** Characters of a set's digest. Each domain keeps four; 66 bits tell any two of its sets apart. */
const DIGEST_LENGTH = 11;

/** The digest of a set of addresses, in any order. */
export function digestOfSet(records: DnsRecord[]): string {
  const addresses = records.filter(({ type }) => type === TYPES.A || type === TYPES.AAAA);
  const texts = addresses.map(({ data }) => Buffer.from(data).toString('hex'));
  return shortDigest(texts.sort().join()).slice(0, DIGEST_LENGTH);
}

/** The facts of each set after a visit. `digests` lacks a set for which there was no answer; it stays as it was. */
export function nextSets(
  known: AddressSets | null,
  digests: Partial<Record<AddressSet, string>>,
  nowMs: number,
): AddressSets {
  const sets: AddressSets = {};
  for (const name of ADDRESS_SETS) {
    const [before, digest] = [known?.[name], digests[name]];
    const after = digest === undefined ? before : nextSet(before, digest, nowMs);
    if (after) sets[name] = after;
  }
  return sets;
}

function nextSet(before: SetFacts | undefined, digest: string, nowMs: number): SetFacts {
  if (!before) return { digest, changes: 0 };
  const since = before.stillSinceMs;
  if (before.digest === digest) {
    const isStill = since === undefined || nowMs - since >= STILL_MS;
    return { digest, changes: 0, ...(!isStill && { stillSinceMs: since }) };
  }
  const changes = before.changes + 1;
  return { digest, changes, ...((since !== undefined || changes >= CHANGES_MAX) && { stillSinceMs: nowMs }) };
}

/** The sets that rotate, and so do not count. */
export function rotatingOf(sets: AddressSets): AddressSet[] {
  return ADDRESS_SETS.filter(name => sets[name]?.stillSinceMs !== undefined);
}
