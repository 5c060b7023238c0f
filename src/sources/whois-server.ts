/** A line of IANA's answer that names the registry's server; of the two, this order. */
const IANA_LINES = [/^whois:[ \t]*(\S+)/im, /^refer:[ \t]*(\S+)/im];

/** The line by which a registry with little to say names the registrar's server. */
const REGISTRAR_LINE = /^[ \t]*(?:registrar whois server|whois server|registrar whois):[ \t]*(\S+)/im;

/**
 * What single servers want to be asked, by their names; all others take the name alone. Sources: Verisign's own help
 * ("domain" keeps names that only begin alike out of the answer); the manual of whois(1) for DENIC (`-T dn,ace`: the
 * domain, in A-labels) and Punktum dk (`--show-handles`); the banner of JPRS (`/e`: no Japanese).
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

/** The registrar's server, where a registry's answer names one; null for none, and for an address of the web. */
export function registrarServerOf(text: string): string | null {
  return hostOf(REGISTRAR_LINE.exec(text)?.[1]);
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
