import { ChangeError } from '../../../errors.ts';
import type { Refusal } from '../../source.ts';
import { notJsonFault } from '../../upstream/json.ts';
import { listOf, memberOf, textOf } from '../values.ts';

/** The media type of RDAP's answers, errors too (RFC 7480, section 4.2). */
const RDAP_TYPE = /^application\/rdap\+json\b/i;

/**
 * Throws for an error object (RFC 9083, section 6) with the status that its code is, because some servers send theirs with
 * status 200. The codes are those of HTTP.
 */
export function checkRdapError(json: unknown): void {
  const code = errorCodeOf(json);
  if (code === null || code < 400 || code > 599) return;
  throw new ChangeError(
    `http-${code}`,
    `rdap domain: expected a domain object, got an error object with code ${code}`,
    {
      status: code,
    },
  );
}

/**
 * Throws where an answer with status 404 is not one of an RDAP server, because it then says nothing about the domain: a
 * proxy or a moved server answers 404 to everything. An RDAP server may send an empty body (RFC 7480, section 5.3).
 */
export function checkRdapRefusal({ status, bytes, contentType }: Refusal): void {
  if (status !== 404) return;
  const text = new TextDecoder().decode(bytes).trim();
  const isTyped = contentType !== null && RDAP_TYPE.test(contentType);
  if (text === '') {
    if (contentType === null || /json/i.test(contentType)) return;
    throw new ChangeError('not-json', 'rdap domain: expected an RDAP answer with status 404, got another empty one');
  }
  const fault = notJsonFault('rdap domain', { bytes, contentType });
  if (fault) throw fault;
  const json = parsed(text);
  // An error object with another code, such as 429, is that error.
  const code = errorCodeOf(json);
  if (code !== 404) checkRdapError(json);
  const isRdap = isTyped || code !== null || listOf(memberOf(json, 'rdapConformance')).length > 0;
  if (json === undefined || !isRdap)
    throw new ChangeError('wrong-shape', 'rdap domain: expected an RDAP error with status 404, got other JSON');
}

/** The error code, which some servers send as text; null where there is none. */
function errorCodeOf(json: unknown): number | null {
  const code = memberOf(json, 'errorCode');
  const text = typeof code === 'number' ? String(code) : textOf(code);
  return text !== null && /^\d{3}$/.test(text) ? Number(text) : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
