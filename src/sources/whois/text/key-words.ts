import type { FactColumn } from '../facts.ts';

/** Words of a key that says "name server", and words that may stand with them. */
const SERVER_WORD = /^(dns|ns|nameservers?|nservers?|nameservery)$/;
const SERVER_WORDS =
  /^(dns|ns|nameservers?|nservers?|nameservery|servers?|names?|hosts?|hostnames?|domain|primary|secondary|tertiary|first|second|third|fourth|master|slave|information|info|lists?|listed|in|the|order|delegated|authoritative|of|servidor|servidores|serveurs?|de|del|nombres?|nomes?|noms?|dominio|es)$/;

/** Whether a key names name servers, by its words: `dns`, `primary server`, `servidores de nombres de dominio`. */
export function isNameserverKey(key: string): boolean {
  const words = key.split(' ');
  if (!words.every(word => SERVER_WORDS.test(word))) return false;
  if (words.some(word => SERVER_WORD.test(word))) return true;
  const isServer = words.some(word => /^(servers?|servidor|servidores|serveurs?)$/.test(word));
  return isServer && words.some(word => /^(names?|primary|secondary|domain|nombres|nomes|noms)$/.test(word));
}

/** Whether a key holds statuses of the domain, by its words: `status`, `domain state`, `query status`. */
export function isStatusKey(key: string): boolean {
  const words = key.split(' ');
  const isOfDomain = words.every(word =>
    /^(status|statuses|state|states|availability|domain|epp|registration|registry|query|object|current|record|name|codes?)$/.test(
      word,
    ),
  );
  return isOfDomain && words.some(word => /^(status|statuses|state|availability)$/.test(word));
}

/** Words of dates, the kind that wins first: a "registration expiration date" is an expiry. */
const DATE_WORDS: [FactColumn, RegExp][] = [
  ['expiry_date', /^(expires?|expiry|expirations?|expired|exp|expiring|renewal|renew|validity)$/],
  ['updated_date', /^(updated?|updates|modified|modification|changed?|changes)$/],
  [
    'created_date',
    /^(created?|creation|registered|registration|reg|activated|activation|commencement|assigned|inception)$/,
  ],
];
const DATE_WITH = /^(domain|record|name|dates?|on|at|time|last|the|registry|registrar|of|first|is|was|entry|to)$/;

/** The date that a key names, by its words: `domain record activated`, `exp date`; null for another key. */
export function dateColumn(key: string): FactColumn | null {
  if (/^(domain |name )?(valid|paid|registered|active) (until|till|to|through)$/.test(key)) return 'expiry_date';
  // Some registries write the words as one: `dateregistered`.
  const words = key
    .replace(/\b(date|last)(?=[a-z]{4})/g, '$1 ')
    .replace(/\b(last)(?=[a-z]{4})/g, '$1 ')
    .split(' ');
  const kinds = words.map(word => DATE_WORDS.find(([, pattern]) => pattern.test(word))?.[0]);
  if (!words.every((word, index) => kinds[index] !== undefined || DATE_WITH.test(word))) return null;
  return DATE_WORDS.find(([column]) => kinds.includes(column))?.[0] ?? null;
}

/** Keys that are understood and have no column: contacts other than the registrant, addresses, handles, sources. */
const WITHOUT_COLUMN = [
  /^(registry )?(admin\w*|tech\w*|bill\w*|reseller|zone|emergency|onsite|ac|tc|third party)\b/,
  /\b(street|street address|address|postal address|zip|zip ?code|postal ?code|postcode|postal|phone|phone no|phone number|fax|fax no|fax number|telephone|tel|mobile|voice|ext|po box)$/,
  /\b(id|ids|handle|hdl|type|roid|no|code|reg ?nr|number|nic hdl)$/,
  /^(source|mnt by|nsset|keyset|ascii|version|query datetime|registry whois server|script|language|registrar whois server|whois server|whois web|registry domain id|responsible|owner ?type|ownerid|saci|publishes|register number)$/,
  /^(registrar|registration service|sponsoring registrar) (e ?mail|email|country|city|street|state|province|contact|contact information|phone|address|customer service.*)/,
  /^(dnssec ds data|ds key tag|key ?tag|algorithm|digest|digest type|ds data|ds|registrylock|registry lock|locked status|lock status|transferred|transfer date|transfers?)\b/,
  /^(outzone|delete|free date|available|hold|anonymous|in zone|holder type|renewal status|re registration status|vid|registration period|dom public|frozen status|transfer status|reg name)$/,
  /\bip( ?v?[46]| address(es)?)?$/,
  /^url of the icann\b/,
  /^(registry|domain|nic) (lock|handle|id)$/,
];

/** Whether a key is understood although no column takes its value. */
export function hasNoColumn(key: string): boolean {
  return WITHOUT_COLUMN.some(pattern => pattern.test(key));
}
