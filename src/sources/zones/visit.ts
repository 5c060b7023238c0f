import { z } from 'zod';
import { domain as domainTable } from '../../../schemas/domain.ts';
import { sha256Hex, shortDigest } from '../../digest.ts';
import type { Document, Loaded } from '../../ports/change.ts';
import { isoTime } from '../../time.ts';
import type { LoadContext, StoredObject } from '../source.ts';
import { isAnswerTo, type LookedUp, QUESTIONS, type QuestionId } from './lookup.ts';
import { DOUBLINGS_MAX, type VisitFacts } from './next-visit.ts';
import { type DnsRecord, TYPES } from './record.ts';
import type { Registration } from './registration.ts';
import { ADDRESS_SETS, type AddressSet, type AddressSets, digestOfSet, nextSets, rotatingOf } from './rotation.ts';
import { deletedRow, rowOf, tldOf, type ZoneFile } from './row.ts';
import type { ZonesSettings } from './settings.ts';
import { inOrder, readZoneFile, writeZoneFile, zoneDigest } from './zone-file.ts';

/** The first characters of the folder that a zone file is in. */
export const ZONE_FOLDER = 'tld=';

/** What a visit leaves for the next one. */
export interface ZoneFacts extends VisitFacts {
  /** Over what counts in the row. */
  digest: string;
  sets: AddressSets;
  /** Questions that never had an answer. */
  unknown: QuestionId[];
  /** Since when the zone is signed and broken, ISO 8601. */
  broken: string | null;
}

const factsShape = z.object({
  quiet: z.number(),
  digest: z.string(),
  sets: z.record(
    z.string(),
    z.object({ digest: z.string(), changes: z.number(), stillSinceMs: z.number().optional() }),
  ),
  unknown: z.array(z.string()),
  broken: z.string().nullable(),
});

/** The facts of the visit before; null where there is none, or another version of the code left them. */
export function readFacts(facts: unknown): ZoneFacts | null {
  const read = factsShape.safeParse(facts);
  return read.success ? (facts as ZoneFacts) : null;
}

type Found = Exclude<LookedUp, { kind: 'gone' }>;

type Context = Pick<LoadContext<ZonesSettings, null>, 'stored' | 'nowMs'>;

/** What a visit comes to whose domain exists. */
export async function seenVisit(
  domain: string,
  { found, before, registration }: { found: Found; before: ZoneFacts | null; registration: Registration },
  ctx: Context,
): Promise<Loaded> {
  const place = { name: domain, path: [`${ZONE_FOLDER}${tldOf(domain)}`], file: `${domain}.zone` };
  const { key, object: stored } = await ctx.stored(place);
  // Take the last records, out of the zone file, for questions that have no answer now.
  const kept = await keptRecords({ found, before }, stored);
  const { records, known } = merged(domain, { found, kept });
  // Leave out of the digest what rotates.
  const sets = nextSets(before?.sets ?? null, setDigests(found), ctx.nowMs);
  const rotating = rotatingOf(sets);
  const isRotating = ({ owner, type }: DnsRecord) =>
    rotating.some(id => owner === ownerOf(domain, id) && type === questionOf(id).type);
  // Put the file where another one lies there. A broken zone keeps its file.
  const written = found.kind === 'found' ? writeZoneFile(records) : null;
  const digest = zoneDigest(records, isRotating);
  const isSame = written === null || stored?.digest === digest;
  const file = isSame ? fileOf(key, known.size > 0 ? stored : null) : newFile(key, written);
  const documents: Document[] = isSame ? [] : [{ ...place, bytes: written, revision: null, digest }];
  // Make the row, and a digest over all that counts in it.
  const broken = found.kind === 'broken' ? (before?.broken ?? isoTime(ctx.nowMs)) : null;
  const unknown = QUESTIONS.map(({ id }) => id).filter(id => !known.has(id));
  const dnssecEnabled = dnssecOf({ found, records, known });
  const remarks = { ...remarksOf(found), rotating, unknown, broken };
  const row = rowOf({ domain, records, known, dnssecEnabled, registration, file, remarks });
  const nxdomainAt = found.kind === 'found' ? found.nxdomainAt : null;
  const { leaving: _, ...registered } = registration;
  const hash = file?.sha256 ?? null;
  const counted = { digest, unknown, broken, nxdomainAt, registered, hash, dnssecEnabled };
  const rowDigest = shortDigest(JSON.stringify(counted));
  const facts = factsOf({ before, registration, digest: rowDigest, sets, unknown, broken });
  return {
    documents,
    rows: [{ table: domainTable.name, op: 'upsert', row: { ...row } }],
    revision: null,
    seen: { found: true, partial: false, moreHosts: [], facts, digests: { [domainTable.name]: rowDigest } },
  };
}

/** What a visit comes to whose domain does not exist. Its zone file stays as the last one. */
export function goneVisit(
  domain: string,
  { before, registration }: { before: ZoneFacts | null; registration: Registration },
): Loaded {
  const unknown = QUESTIONS.map(({ id }) => id);
  const digest = 'gone';
  return {
    documents: [],
    rows: [{ table: domainTable.name, op: 'delete', row: { ...deletedRow(domain) } }],
    revision: null,
    seen: {
      found: false,
      partial: false,
      moreHosts: [],
      facts: factsOf({ before, registration, digest, sets: {}, unknown, broken: null }),
      digests: { [domainTable.name]: digest },
    },
  };
}

function factsOf({
  before,
  registration: { expiry, leaving },
  digest,
  ...rest
}: Pick<ZoneFacts, 'digest' | 'sets' | 'unknown' | 'broken'> & {
  before: ZoneFacts | null;
  registration: Registration;
}): Record<string, unknown> {
  const isChanged = before !== null && before.digest !== digest;
  const quiet = isChanged ? 0 : Math.min((before?.quiet ?? DOUBLINGS_MAX) + 1, DOUBLINGS_MAX);
  const facts: ZoneFacts = { quiet, expiry, leaving, digest, ...rest };
  return { ...facts };
}

/**
 * The records that the zone file has for questions without an answer now; null where none are needed, or no file is
 * there. The file has those of the last visit that was accepted, or of a later one.
 */
async function keptRecords(
  { found, before }: { found: Found; before: ZoneFacts | null },
  stored: StoredObject | null,
): Promise<{ records: DnsRecord[]; unknown: QuestionId[] } | null> {
  const isComplete = found.kind === 'found' && found.unanswered.size === 0;
  if (isComplete || before === null || stored?.digest == null) return null;
  const bytes = await stored.read();
  return bytes && { records: readZoneFile(bytes), unknown: before.unknown };
}

/** All records in order, and the questions to which they are known. */
function merged(
  domain: string,
  { found, kept }: { found: Found; kept: { records: DnsRecord[]; unknown: QuestionId[] } | null },
): { records: DnsRecord[]; known: Set<QuestionId> } {
  const known = new Set<QuestionId>();
  const records = QUESTIONS.flatMap(({ id, type }) => {
    const answered = found.kind === 'found' ? found.records.get(id) : undefined;
    const isKept = kept !== null && !kept.unknown.includes(id);
    if (!answered && !isKept) return [];
    known.add(id);
    const owner = ownerOf(domain, id);
    return answered ?? kept!.records.filter(record => record.owner === owner && isAnswerTo(type, record));
  });
  return { records: inOrder(records), known };
}

function questionOf(id: QuestionId): (typeof QUESTIONS)[number] {
  return QUESTIONS.find(question => question.id === id)!;
}

/** The absolute name that a question asks for. */
function ownerOf(domain: string, id: QuestionId): string {
  return `${questionOf(id).host}${domain}.`;
}

/** Digests of the address sets that were answered. */
function setDigests(found: Found): Partial<Record<AddressSet, string>> {
  if (found.kind === 'broken') return {};
  const answered = ADDRESS_SETS.flatMap(id => {
    const records = found.records.get(id);
    return records ? [[id, digestOfSet(records)] as const] : [];
  });
  return Object.fromEntries(answered);
}

/** The file that lies there. */
function fileOf(key: string, stored: StoredObject | null): ZoneFile | null {
  return stored?.sha256 ? { key, bytes: stored.bytes, sha256: stored.sha256 } : null;
}

function newFile(key: string, bytes: Uint8Array): ZoneFile {
  return { key, bytes: bytes.length, sha256: sha256Hex(bytes) };
}

/** The zone has a DS record and the resolver validated its answer; null where the DS is not known. */
function dnssecOf({
  found,
  records,
  known,
}: {
  found: Found;
  records: DnsRecord[];
  known: ReadonlySet<QuestionId>;
}): boolean | null {
  if (found.kind === 'broken') return false;
  return known.has('DS') ? found.isAuthentic && records.some(({ type }) => type === TYPES.DS) : null;
}

function remarksOf(found: Found): Record<string, unknown> {
  if (found.kind === 'broken') return { extended_errors: found.extendedErrors };
  const { unanswered, isAuthentic, resolver, nxdomainAt, passedOver } = found;
  return {
    authenticated: isAuthentic,
    resolver,
    nxdomain_at: nxdomainAt,
    unanswered: Object.fromEntries(unanswered),
    passed_over: passedOver,
  };
}
