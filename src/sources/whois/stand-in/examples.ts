import type { Examples } from '../../stand-in/examples.ts';
import { readRecordedDomains, readTexts, WHOIS_RECORDINGS } from './registrations.ts';
import { startStandIn } from './stand-in.ts';

/** Outcomes of recorded visits whose answers have the form that servers send; the others are faults. */
const SOUND = ['row', 'no-rdap'];

export const examples: Examples = {
  // A thin registry and its registrar, two thick registries, and a registry that answers over WHOIS only.
  keys: ['cloudflare.com', 'ietf.org', 'afnic.fr', 'denic.de'],
  async start() {
    const sound = readRecordedDomains(WHOIS_RECORDINGS).domains.filter(
      ({ outcome, answers }) => SOUND.includes(outcome) && !Object.values(answers).flat().some(isSlow),
    );
    const keys = [...sound.map(({ domain }) => domain), ...readTexts(WHOIS_RECORDINGS).keys()];
    return { standIn: await startStandIn({ fast: true }), keys };
  },
};

/** Answers that never come, or only to a second request, would hold the probe up. */
function isSlow({ timeout = false, status = 200 }: { timeout?: boolean; status?: number }): boolean {
  return timeout || status === 429 || status >= 500;
}
