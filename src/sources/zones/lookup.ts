import type { DnsAnswer, Question } from './message.ts';
import { type DnsRecord, HTTPS, TYPES } from './record.ts';
import {
  type Asked,
  ask,
  failureOf,
  hasName,
  hasRcode,
  hasSpoken,
  isBroken,
  isUnreached,
  RCODES,
  type ResolverName,
  textOf,
  type ZonesContext,
} from './resolver.ts';

/** RRSIG: signatures are made anew every few days, and the resolver has checked them. */
const SIGNATURE = 46;

/** What a visit asks: `id` names it, `host` is in front of the domain. SOA is first, because it may end the visit. */
export const QUESTIONS = [
  { id: 'SOA', host: '', type: TYPES.SOA },
  { id: 'NS', host: '', type: TYPES.NS },
  { id: 'A', host: '', type: TYPES.A },
  { id: 'AAAA', host: '', type: TYPES.AAAA },
  { id: 'MX', host: '', type: TYPES.MX },
  { id: 'TXT', host: '', type: TYPES.TXT },
  { id: 'CAA', host: '', type: TYPES.CAA },
  { id: 'DS', host: '', type: TYPES.DS },
  { id: 'DNSKEY', host: '', type: TYPES.DNSKEY },
  { id: 'HTTPS', host: '', type: HTTPS },
  { id: 'www A', host: 'www.', type: TYPES.A },
  { id: 'www AAAA', host: 'www.', type: TYPES.AAAA },
  { id: '_dmarc TXT', host: '_dmarc.', type: TYPES.TXT },
] as const;

export type QuestionId = (typeof QUESTIONS)[number]['id'];

/** What the DNS says of a domain. */
export type LookedUp =
  | { kind: 'gone' }
  /** The zone is signed and its signatures do not hold. */
  | { kind: 'broken'; extendedErrors: number[] }
  | {
      kind: 'found';
      /** The domain's own records, by question; a question that has no answer is missing. */
      records: Map<QuestionId, DnsRecord[]>;
      /** Questions without an answer, and what resolvers gave instead. */
      unanswered: Map<QuestionId, string>;
      /** The SOA's answer was validated. */
      isAuthentic: boolean;
      /** The resolver that knows the domain. */
      resolver: ResolverName;
      /** The resolver that says NXDOMAIN where the other knows the domain. */
      nxdomainAt: ResolverName | null;
      /** Records of the domain's names in the answers that are no answer to their question. */
      passedOver: number;
    };

/**
 * Asks for a domain. Throws `ChangeError` where the zone gives no answer, and `StepError` where resolvers give none, or
 * there is no time left.
 */
export async function lookUp(domain: string, ctx: ZonesContext): Promise<LookedUp> {
  // Ask for the SOA; it says whether there is a domain, and which resolver knows it.
  const [soa, ...others] = QUESTIONS;
  const start = await askForDomain({ name: domain, type: soa.type }, ctx);
  if (start.kind !== 'found') return start;
  const { resolver } = start.known;
  const answers = new Map<QuestionId, DnsAnswer>([[soa.id, start.known.answer]]);
  const unanswered = new Map<QuestionId, string>();
  // Ask the rest of the same resolver, and of the other one where that gives no answer.
  const askFor = async ({ id, host, type }: (typeof others)[number]) => {
    const found = await askEither({ name: `${host}${domain}`, type }, { resolver, isApex: host === '' }, ctx);
    if ('answer' in found) answers.set(id, found.answer);
    else unanswered.set(id, found.got);
  };
  await Promise.all(others.map(askFor));
  // Keep the domain's own records.
  const records = new Map<QuestionId, DnsRecord[]>();
  let passedOver = 0;
  for (const { id, host, type } of QUESTIONS) {
    const answer = answers.get(id);
    if (!answer) continue;
    const own = answer.records.filter(({ owner, type: of }) => owner === `${host}${domain}.` && of !== SIGNATURE);
    const kept = own.filter(record => isAnswerTo(type, record));
    records.set(id, kept);
    passedOver += own.length - kept.length + answer.otherClasses;
  }
  const { isAuthentic } = start.known.answer;
  return { kind: 'found', records, unanswered, isAuthentic, resolver, nxdomainAt: start.nxdomainAt, passedOver };
}

type Start =
  | { kind: 'found'; known: { answer: DnsAnswer; resolver: ResolverName }; nxdomainAt: ResolverName | null }
  | Exclude<LookedUp, { kind: 'found' }>;

/** Whether there is a domain. One NXDOMAIN is no deletion, because a resolver may be wrong for a while. */
async function askForDomain(question: Question, ctx: ZonesContext): Promise<Start> {
  const first = await ask(question, 'first', ctx);
  if (hasName(first, question)) return foundBy(first, null);
  if (isBroken(first)) return brokenBy(first);
  if (isUnreached(first)) throw await failureOf([first], ctx);
  // Ask the fallback.
  const second = await ask(question, 'fallback', ctx);
  const isMissing = hasRcode(first, RCODES.NXDOMAIN);
  if (hasName(second, question)) return foundBy(second, isMissing ? 'first' : null);
  if (isMissing && hasRcode(second, RCODES.NXDOMAIN)) return { kind: 'gone' };
  if (!isMissing && isBroken(second)) return brokenBy(second);
  throw await failureOf([first, second], ctx);
}

function foundBy({ said, by }: Asked, nxdomainAt: ResolverName | null): Start {
  return { kind: 'found', known: { answer: said!, resolver: by }, nxdomainAt };
}

function brokenBy({ said }: Asked): Start {
  return { kind: 'broken', extendedErrors: said!.extendedErrors };
}

/** Asks both resolvers in turn. `got`: what they gave instead of an answer. Throws where neither is there. */
async function askEither(
  question: Question,
  { resolver, isApex }: { resolver: ResolverName; isApex: boolean },
  ctx: ZonesContext,
): Promise<{ answer: DnsAnswer } | { got: string }> {
  // The SOA has shown that the domain is there, so NXDOMAIN of the same name is no answer.
  const isUsable = (asked: Asked) => hasName(asked, question) || (!isApex && hasRcode(asked, RCODES.NXDOMAIN));
  const asked: Asked[] = [];
  for (const by of resolver === 'first' ? (['first', 'fallback'] as const) : (['fallback', 'first'] as const)) {
    const one = await ask(question, by, ctx);
    if (isUsable(one)) return { answer: one.said! };
    asked.push(one);
    // Nothing else would come of the other resolver.
    if (isBroken(one) || isUnreached(one)) break;
  }
  if (!asked.some(hasSpoken)) throw await failureOf(asked, ctx);
  return { got: asked.map(textOf).join(', ') };
}

/** Whether a record of the asked name answers a question: its type, or an alias. */
export function isAnswerTo(asked: number, { type }: DnsRecord): boolean {
  return type === asked || type === TYPES.CNAME;
}
