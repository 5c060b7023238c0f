import { domainToUnicode } from 'node:url';
import { expect, it } from 'vitest';
import { DOMAIN_REJECTIONS, readDomain } from '../../src/sources/whois-domain.ts';
import { isALabel, unicodeOf } from '../../src/sources/whois-label.ts';
import { domainConformance, REFUSED, TAKEN } from './whois-domain-names.ts';

domainConformance('Node');

it('reads what it gave back as itself', () => {
  for (const [, domain] of TAKEN) expect(readDomain(domain)).toMatchObject({ domain });
});

it('has a text in the table for each reason, and a sentence that says what was expected and got', () => {
  expect(new Set(REFUSED.map(([, reason]) => reason))).toEqual(new Set(Object.keys(DOMAIN_REJECTIONS)));
  for (const sentence of Object.values(DOMAIN_REJECTIONS)) expect(sentence).toMatch(/^expected .+, got .+[^.]$/);
});

it('reads Punycode as the runtime does', () => {
  const labels = TAKEN.flatMap(([, domain]) => domain.split('.')).filter(isALabel);
  expect(labels.length).toBeGreaterThan(20);
  for (const label of labels) expect(unicodeOf(label)).toBe(domainToUnicode(label));
});
