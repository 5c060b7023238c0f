import { ChangeError, isConnectionFault, isThrottled, StepError } from '../../errors.ts';
import { MINUTE } from '../../limits.ts';
import type { SourceContext } from '../source.ts';
import {
  DNS_MESSAGE,
  type DnsAnswer,
  encodeQuestion,
  MESSAGE_BYTES_MAX,
  type Question,
  readAnswer,
} from './message.ts';
import { TYPES } from './record.ts';
import type { ZonesSettings } from './settings.ts';

/** Resolvers answer from their caches in 50 ms, and give a slow zone up after 2 to 5 s. Three tries fit into half a visit. */
const ANSWER_MS_MAX = 3_000;

/** Resolvers remember a failure for up to five minutes (RFC 9520), so another question before that has the same answer. */
const FAILURE_MS = 5 * MINUTE;

export const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;
const RCODE_NAMES: Record<number, string> = { 1: 'FORMERR', 2: 'SERVFAIL', 3: 'NXDOMAIN', 4: 'NOTIMP', 5: 'REFUSED' };

/** Extended errors (RFC 8914) with SERVFAIL: the zone is signed, and its signatures do not hold. */
const BROKEN = new Set([1, 2, 6, 7, 8, 9, 10, 11, 12]);
/** With SERVFAIL: the zone's servers could not be asked. */
const UNREACHED = new Set([13, 22, 23]);
/** With any rcode: the resolver withholds what the DNS says. */
const WITHHELD = new Set([4, 15, 16, 17, 18]);

/** The first resolver is asked first; the fallback where the first gives no usable answer, or says NXDOMAIN. */
export type ResolverName = 'first' | 'fallback';

export type ZonesContext = Pick<SourceContext<ZonesSettings>, 'settings' | 'fetchRaw'>;

/** What asking one resolver gave. `said`: its answer, also where it is of no use; `error`: why there is no usable one. */
export interface Asked {
  by: ResolverName;
  said: DnsAnswer | null;
  error: ChangeError | StepError | null;
}

/**
 * Asks one resolver, and says how that went. Throws `ChangeError` where the first resolver asks for fewer requests, and
 * `StepError` `deadline` when there is no time to ask it.
 */
export async function ask(question: Question, by: ResolverName, ctx: ZonesContext): Promise<Asked> {
  try {
    const said = await fetchAnswer(question, by, ctx);
    return { by, said, error: errorOf(said) };
  } catch (error) {
    if (error instanceof ChangeError && !(by === 'first' && isThrottled(error))) return { by, said: null, error };
    // The fallback has no permit for this visit, or there is no time left.
    if (error instanceof StepError && error.kind === 'deadline' && by === 'fallback') return { by, said: null, error };
    throw error;
  }
}

async function fetchAnswer(question: Question, by: ResolverName, { settings, fetchRaw }: ZonesContext) {
  const url = by === 'first' ? settings.resolverUrl : settings.fallbackUrl;
  const asked = Buffer.from(encodeQuestion(question)).toString('base64url');
  const { value } = await fetchRaw(`${url}${url.includes('?') ? '&' : '?'}dns=${asked}`, {
    subject: 'dns answer',
    headers: { accept: DNS_MESSAGE },
    timeoutMs: ANSWER_MS_MAX,
    bytesMax: MESSAGE_BYTES_MAX,
    read: body => readAnswer(question, body),
  });
  return value;
}

/** Why an answer cannot be used; null for one that says what the DNS has. */
function errorOf(said: DnsAnswer): ChangeError | null {
  const isWithheld = said.extendedErrors.some(code => WITHHELD.has(code));
  const isAnswer = said.rcode === RCODES.NOERROR || said.rcode === RCODES.NXDOMAIN;
  return isAnswer && !isWithheld
    ? null
    : new ChangeError('dns-error', `dns answer: expected NOERROR or NXDOMAIN, got ${rcodeText(said)}`);
}

export function hasRcode({ said, error }: Asked, rcode: number): boolean {
  return error === null && said?.rcode === rcode;
}

/**
 * Whether an answer shows that the asked name is there. NXDOMAIN after an alias of that name is said of the alias's target
 * (RFC 6604).
 */
export function hasName(asked: Asked, { name }: Question): boolean {
  if (hasRcode(asked, RCODES.NOERROR)) return true;
  return hasRcode(asked, RCODES.NXDOMAIN) && asked.said!.records.some(({ owner }) => owner === `${name}.`);
}

/** The zone is signed and broken. */
export function isBroken({ said }: Asked): boolean {
  return said?.rcode === RCODES.SERVFAIL && said.extendedErrors.some(code => BROKEN.has(code));
}

/** No server of the zone answered the resolver. */
export function isUnreached({ said }: Asked): boolean {
  return said?.rcode === RCODES.SERVFAIL && said.extendedErrors.some(code => UNREACHED.has(code));
}

/** In words, what a resolver gave. */
export function textOf({ said, error }: Asked): string {
  if (said) return rcodeText(said);
  return error instanceof ChangeError ? error.reason : 'no time left';
}

function rcodeText({ rcode, extendedErrors }: DnsAnswer): string {
  const name = RCODE_NAMES[rcode] ?? (rcode === RCODES.NOERROR ? 'NOERROR' : `rcode ${rcode}`);
  return extendedErrors.length === 0 ? name : `${name} (${extendedErrors.join(', ')})`;
}

/**
 * The error of a question that no resolver has answered usably. `ChangeError` where the zone is to blame; `StepError`
 * `upstream-unreachable` where no resolver answers even the question that all of them can, so that an outage of resolvers
 * parks no domain.
 */
export async function failureOf(asked: Asked[], ctx: ZonesContext): Promise<ChangeError | StepError> {
  if (!asked.some(hasSpoken)) {
    for (const { by } of asked) {
      const root = await ask({ name: '.', type: TYPES.NS }, by, ctx);
      if (hasSpoken(root)) return zoneError(asked);
      if (root.error instanceof StepError) return root.error;
    }
    const expected = 'dns: expected an answer of a resolver';
    return new StepError('upstream-unreachable', `${expected}, got ${asked.map(textOf).join(' and ')}`);
  }
  return zoneError(asked);
}

/** Where no resolver gave an answer of DNS at all, the error of the first one says most. */
function zoneError(asked: Asked[]): ChangeError {
  const [first] = asked;
  if (first?.error instanceof ChangeError && !asked.some(({ said }) => said)) return first.error;
  const message = `dns of a domain: expected an answer, got ${asked.map(textOf).join(' and ')}`;
  return new ChangeError('dns-error', message, { retryAfterMs: FAILURE_MS });
}

/** Whether the resolver is there: it gave an answer, if not a usable one, or refused the question. */
export function hasSpoken({ said, error }: Asked): boolean {
  if (said) return true;
  return error instanceof ChangeError && !isConnectionFault(error) && !((error.status ?? 0) >= 500);
}
