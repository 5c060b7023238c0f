/**
 * Top-level names that lead into a private network or nowhere: IANA's special-use names, ICANN's `internal`, and
 * those that routers and companies use.
 */
const LOCAL_NAMES = new Set(
  'alt arpa corp home internal intranet invalid lan local localdomain localhost onion private test'.split(' '),
);

/** Octets of a name (RFC 1035, section 2.3.4). */
const NAME_LENGTH_MAX = 253;

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Whether a host is a name of the public internet. An address is none, whatever its form, and neither is a bare label. */
export function isPublicName(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  const last = labels.at(-1)!;
  return (
    labels.length > 1 &&
    name.length <= NAME_LENGTH_MAX &&
    labels.every(label => LABEL.test(label)) &&
    !/^(\d+|0x[0-9a-f]*)$/.test(last) &&
    !LOCAL_NAMES.has(last)
  );
}

/**
 * Whether an upstream's answer may send us to a URL: a link, a redirect, or an entry of a list. `from` is the URL that
 * was asked. Only an upstream that is local itself may name local hosts, because others could make the worker ask
 * servers that trust its network; and no answer may take a request from https to http.
 */
export function mayName(from: string, to: string): boolean {
  if (!URL.canParse(to)) return false;
  const [source, target] = [new URL(from), new URL(to)];
  if (target.protocol !== 'https:' && (target.protocol !== 'http:' || source.protocol === 'https:')) return false;
  if (target.username !== '' || target.password !== '') return false;
  return isPublicName(target.hostname) || !isPublicName(source.hostname);
}
