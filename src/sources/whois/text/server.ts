import { NAME_LENGTH_MAX } from '../../names/domain.ts';

/** Lines of IANA's answer that name the registry's server; the first of these that has a host counts. */
const IANA_LINES = [/^whois:[ \t]*(\S+)/im, /^refer:[ \t]*(\S+)/im];

/**
 * Queries of single servers; all others take the domain alone. Sources: the manual of whois(1) for DENIC (`-T dn`) and
 * Punktum dk (`--show-handles`), its own banner for JPRS (`/e`: no Japanese), and public clients for `,ace` (A-labels) and
 * Verisign's `domain`, which excludes longer names with the same beginning.
 */
const QUERIES = new Map<string, (domain: string) => string>([
  ['whois.verisign-grs.com', domain => `domain ${domain}`],
  ['whois.crsnic.net', domain => `domain ${domain}`],
  ['whois.denic.de', domain => `-T dn,ace ${domain}`],
  ['whois.jprs.jp', domain => `${domain}/e`],
  ['whois.punktum.dk', domain => `--show-handles ${domain}`],
  ['whois.dk-hostmaster.dk', domain => `--show-handles ${domain}`],
]);

/** The WHOIS server in IANA's answer to a top-level domain; null if it names none. */
export function serverOf(ianaText: string): string | null {
  for (const line of IANA_LINES) {
    const server = hostOf(line.exec(ianaText)?.[1]);
    if (server) return server;
  }
  return null;
}

/** The query for a domain (A-labels in lower case); the server's name may have a port. */
export function queryFor(server: string, domain: string): string {
  const query = QUERIES.get(server.toLowerCase().replace(/:\d+$/, ''));
  return query ? query(domain) : domain;
}

/** A host's name in lower case; null for anything else. An address is refused too, because registries name hosts. */
function hostOf(text: string | undefined): string | null {
  const host = text?.toLowerCase().replace(/\.$/, '') ?? '';
  const labels = host.split('.');
  const isHost = labels.length > 1 && labels.every(label => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  return isHost && host.length <= NAME_LENGTH_MAX && !/^\d+$/.test(labels.at(-1)!) ? host : null;
}
