import { type Query, RCODES, type Reply } from './message.ts';
import { isWithin, type Name, nameKey } from './names.ts';
import { type DnsRecord, dataOctets, isOf, TYPES } from './record.ts';
import { denialOf, recordSets, signatureOf } from './signatures.ts';
import { readZone } from './zone-text.ts';
import { type KnownZone, parentSoa, recordsAt, rotated, soaOf, type Zones } from './zones.ts';

/** Aliases that a resolver follows before it gives up. */
const ALIASES_MAX = 8;

/** The question type ANY, which Cloudflare's resolver refuses. */
const TYPE_ANY = 255;

/** Each answer takes a second of the resolver's clock, so that TTLs count down without waiting. */
const ANSWER_SECONDS = 1;
const DAY_SECONDS = 86_400;

/** Texts of extended errors, as a resolver adds them. */
const ERROR_TEXTS: Record<number, string> = {
  3: 'stale answer',
  6: 'validation failure',
  7: 'signature expired',
  9: 'no SEP matching the DS found',
  10: 'no RRSIG found',
  22: 'delegation without an answer',
  23: 'network error',
};

/** Extended errors of a zone whose signatures fail: a question with the flag CD gets its records all the same. */
const BROKEN_SIGNATURES = [1, 2, 6, 7, 8, 9, 10, 11, 12];

/** How one resolver answers questions about a domain, in place of, or besides, what the zone says. */
export interface As {
  rcode?: number;
  extendedError?: number;
  ad?: boolean;
  /** Octets that are sent as they are. */
  message?: Uint8Array;
}

/** The root's own records. Resolvers are asked for them to learn whether they work at all. */
const ROOT = readZone(
  `. 86400 SOA a.nic. hostmaster.nic. 2026112500 1800 900 604800 86400
. 518400 NS a.nic.
. 518400 NS b.nic.`,
  '',
);

/** What a question found, before TTLs, order and signatures. */
interface Found {
  rcode: number;
  answers: DnsRecord[];
  soa: DnsRecord | null;
  /** The zones that the question passed, in their order. */
  zones: KnownZone[];
  /** Whether all of them are signed. */
  secure: boolean;
}

/** The days since the stand-in started, and its first second since 1970. */
export interface DayClock {
  day: number;
  startSeconds: number;
}

/** One resolver: its cache of answers, and how it answers otherwise than the zones say. */
export class Resolver {
  readonly #zones: Zones;
  readonly #clock: DayClock;
  readonly #others = new Map<string, As>();
  readonly #cachedAt = new Map<string, number>();
  readonly #answered = new Map<string, number>();
  #answers = 0;

  constructor(zones: Zones, clock: DayClock) {
    this.#zones = zones;
    this.#clock = clock;
  }

  /** Answers questions about a domain, and names below it, in another way; null ends that. */
  set(domain: Name, as: As | null): void {
    if (as === null) this.#others.delete(nameKey(domain));
    else this.#others.set(nameKey(domain), as);
  }

  /** The octets that the resolver sends instead of any answer to a name; null when there are none. */
  messageTo(name: Name): Uint8Array | null {
    return this.#asOf(name)?.as.message ?? null;
  }

  answerTo(query: Query): Reply {
    this.#answers += ANSWER_SECONDS;
    const { domain, as } = this.#asOf(query.name) ?? { domain: query.name, as: {} };
    const extendedError =
      as.extendedError === undefined ? null : { code: as.extendedError, text: ERROR_TEXTS[as.extendedError] ?? '' };
    const failed = (rcode: number) => ({ rcode, ad: as.ad ?? false, answers: [], authorities: [], extendedError });
    if (query.type === TYPE_ANY) return failed(RCODES.NOTIMP);
    // A resolver that may not ask others has no answer.
    if (!query.recursionDesired) return failed(RCODES.REFUSED);
    const isChecked = !query.cd || !BROKEN_SIGNATURES.includes(as.extendedError ?? 0);
    if (as.rcode === RCODES.NXDOMAIN && isChecked)
      return { ...failed(RCODES.NXDOMAIN), authorities: [parentSoa(domain)] };
    if (as.rcode !== undefined && isChecked) return failed(as.rcode);
    const found = find(this.#zones, query);
    const validated = found.secure && (query.dnssec || query.ad) && !query.cd;
    return { ...this.#sent(query, found), ad: as.ad ?? validated, extendedError };
  }

  #asOf(name: Name): { domain: Name; as: As } | null {
    for (let from = 0; from < name.length; from++) {
      const domain = name.slice(from);
      const as = this.#others.get(nameKey(domain));
      if (as) return { domain, as };
    }
    return null;
  }

  /** Counts TTLs down, changes the order, and adds signatures. */
  #sent(query: Query, { rcode, answers, soa, zones }: Found): Pick<Reply, 'rcode' | 'answers' | 'authorities'> {
    const question = `${query.type} ${nameKey(query.name)}`;
    const earlier = this.#answered.get(question) ?? 0;
    this.#answered.set(question, earlier + 1);
    const age = this.#ageOf(question, soa ? [...answers, soa] : answers);
    const nowSeconds = this.#clock.startSeconds + this.#clock.day * DAY_SECONDS;
    const { day } = this.#clock;
    const signed = (records: DnsRecord[]) =>
      recordSets(records).flatMap(set => {
        const zone = zones.find(({ apex }) => isWithin(set[0]!.owner, apex));
        const some = rotated(set, zone?.rotate ?? null, { day, earlier });
        const sent = some.map(record => ({ ...record, ttl: record.ttl - age }));
        if (!query.dnssec || !zone?.signed) return sent;
        const signer = set[0]!.type === TYPES.DS ? zone.apex.slice(1) : zone.apex;
        sent.push(signatureOf(sent, { signer, ttl: set[0]!.ttl, nowSeconds }));
        return sent;
      });
    const denial = soa === null ? [] : [soa, ...denialsOf(query, { rcode, soa, zone: zones.at(-1) })];
    return { rcode, answers: signed(answers), authorities: signed(denial) };
  }

  /** Seconds since the answer to a question came into the cache; the answer comes anew when its TTL is over. */
  #ageOf(question: string, records: DnsRecord[]): number {
    const now = this.#answers + this.#clock.day * DAY_SECONDS;
    const ttl = Math.min(...records.map(record => record.ttl));
    const age = now - (this.#cachedAt.get(question) ?? Number.NEGATIVE_INFINITY);
    if (age < ttl) return age;
    this.#cachedAt.set(question, now);
    return 0;
  }
}

/** A signed zone proves what it has not: another type at a name, or a name. */
function denialsOf(
  { name }: Query,
  { rcode, soa, zone }: { rcode: number; soa: DnsRecord; zone: KnownZone | undefined },
): DnsRecord[] {
  if (!zone?.signed || nameKey(soa.owner) !== nameKey(zone.apex)) return [];
  const owner = rcode === RCODES.NXDOMAIN || !isWithin(name, zone.apex) ? zone.apex : name;
  return [denialOf(owner, { zone: zone.records, ttl: minimumOf(soa), next: ['\0', ...owner] })];
}

/** The field MINIMUM of an SOA record, the TTL of "there is none" (RFC 2308). */
function minimumOf({ data }: DnsRecord): number {
  return Buffer.from(dataOctets(data).slice(-4), 'latin1').readUInt32BE();
}

/** Looks a question up in the zones, along aliases. */
function find(zones: Zones, { name, type }: Query): Found {
  const answers: DnsRecord[] = [];
  const passed: KnownZone[] = [];
  const ended = (rcode: number, soa: DnsRecord | null, isKnown = true) => ({
    rcode,
    answers,
    soa,
    zones: passed,
    secure: isKnown && passed.every(({ signed }) => signed),
  });
  let current = name;
  if (name.length === 0) {
    answers.push(...ROOT.filter(record => record.type === type));
    return ended(RCODES.NOERROR, answers.length === 0 ? ROOT[0]! : null, false);
  }
  for (let alias = 0; alias <= ALIASES_MAX; alias++) {
    const zone = zones.of(current);
    if (zone === null) return ended(RCODES.NXDOMAIN, parentSoa(current.slice(-2)), false);
    passed.push(zone);
    const own = recordsAt(zone, current);
    if (own === null) return ended(RCODES.NXDOMAIN, denialSoa(zone));
    const wanted = own.filter(record => record.type === type);
    answers.push(...wanted);
    if (wanted.length > 0) return ended(RCODES.NOERROR, null);
    const aliased = own.find(record => isOf(record, current, TYPES.CNAME));
    // The zone above has the DS records of a zone, and says that there are none.
    const isDs = type === TYPES.DS && nameKey(current) === nameKey(zone.apex);
    if (!aliased) return ended(RCODES.NOERROR, isDs ? parentSoa(zone.apex) : denialSoa(zone));
    answers.push(aliased);
    current = (aliased.data[0] as { name: Name }).name;
  }
  answers.length = 0;
  return ended(RCODES.SERVFAIL, null, false);
}

/** The SOA record that goes with "there is none"; its TTL is at most that of its field MINIMUM. */
function denialSoa(zone: KnownZone): DnsRecord {
  const soa = soaOf(zone) ?? parentSoa(zone.apex);
  return { ...soa, ttl: Math.min(soa.ttl, minimumOf(soa)) };
}
