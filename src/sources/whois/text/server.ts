/** A line of IANA's answer that names the registry's server; of the two, this order. */
const IANA_LINES = [/^whois:[ \t]*(\S+)/im, /^refer:[ \t]*(\S+)/im];

/**
 * What single servers want to be asked, by their names; all others take the name alone. The manual of whois(1) says so
 * of DENIC (`-T dn`) and Punktum dk (`--show-handles`), its own banner of JPRS (`/e`: no Japanese); `,ace` (A-labels) and
 * Verisign's `domain`, which keeps names that only begin alike out of the answer, are the custom of public clients.
 */
const QUESTIONS = new Map<string, (domain: string) => string>([
  ['whois.verisign-grs.com', domain => `domain ${domain}`],
  ['whois.crsnic.net', domain => `domain ${domain}`],
  ['whois.denic.de', domain => `-T dn,ace ${domain}`],
  ['whois.jprs.jp', domain => `${domain}/e`],
  ['whois.punktum.dk', domain => `--show-handles ${domain}`],
  ['whois.dk-hostmaster.dk', domain => `--show-handles ${domain}`],
]);

/** The server for a top-level domain, by the answer of `whois.iana.org` to its name; null where there is none. */
export function serverOf(ianaText: string): string | null {
  for (const line of IANA_LINES) {
    const server = hostOf(line.exec(ianaText)?.[1]);
    if (server) return server;
  }
  return null;
}

/** The line to send to a server, whose name may have a port, for a domain (an A-label name in lower case). */
export function questionFor(server: string, domain: string): string {
  const question = QUESTIONS.get(server.toLowerCase().replace(/:\d+$/, ''));
  return question ? question(domain) : domain;
}

/** A host's name in lower case; null for anything else, also for an address: a name is what a registry has. */
function hostOf(text: string | undefined): string | null {
  const host = text?.toLowerCase().replace(/\.$/, '') ?? '';
  const labels = host.split('.');
  const isHost = labels.length > 1 && labels.every(label => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  return isHost && host.length <= 253 && !/^\d+$/.test(labels.at(-1)!) ? host : null;
}
