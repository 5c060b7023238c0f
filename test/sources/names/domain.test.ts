import { domainToUnicode } from 'node:url';
import { expect, it, test } from 'vitest';
import { DOMAIN_REJECTIONS, readDomain } from '../../../src/sources/names/domain.ts';
import { isALabel, unicodeOf } from '../../../src/sources/names/label.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { ACCEPTED, domainConformance, REJECTED } from './domain-names.ts';

const TEXTS = numberOf('DOMAIN_TEXTS', 10_000);
const SEED = seedOf('DOMAIN_SEED');

domainConformance('Node');

it('reads a domain as itself', () => {
  for (const [, domain] of ACCEPTED) expect(readDomain(domain)).toMatchObject({ domain });
});

it('has a text in the table for each reason, and a sentence with what was expected and got', () => {
  expect(new Set(REJECTED.map(([, reason]) => reason))).toEqual(new Set(Object.keys(DOMAIN_REJECTIONS)));
  for (const sentence of Object.values(DOMAIN_REJECTIONS)) expect(sentence).toMatch(/^expected .+, got .+[^.]$/);
});

it('reads Punycode as the runtime does', () => {
  const labels = ACCEPTED.flatMap(([, domain]) => domain.split('.')).filter(isALabel);
  expect(labels.length).toBeGreaterThan(20);
  for (const label of labels) expect(unicodeOf(label)).toBe(domainToUnicode(label));
});

test(`${TEXTS} mutated texts (seed ${SEED}) are a domain in its canonical form, or rejected for a known reason`, () => {
  const coin = makeCoin(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(coin() * list.length)]!;
  const bases = [...ACCEPTED, ...REJECTED]
    .map(([text]) => text)
    .filter(text => typeof text === 'string' && text.length < 400);
  const pieces = [
    ...'.-_@:/%[]\0 \u00ad\u200d\u202e\ud83d\ufe0f。．ßςиλ한字トㄅ',
    'xn--',
    '..',
    '--',
    '.com',
    '٣',
    '\u0301',
  ];
  const counts = new Map<string, number>();
  for (let n = 0; n < TEXTS; n++) {
    let text = pick(bases) as string;
    for (let cuts = Math.floor(coin() * 4); cuts > 0; cuts--) {
      const at = Math.floor(coin() * (text.length + 1));
      const inserted = coin() < 0.5 ? pick(pieces) : coin() < 0.5 ? (pick(bases) as string) : '';
      text = text.slice(0, at) + inserted + text.slice(at + Math.floor(coin() * 3));
    }
    const read = readDomain(text);
    const outcome = 'rejected' in read ? read.rejected : 'accepted';
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    if ('rejected' in read ? Object.hasOwn(DOMAIN_REJECTIONS, read.rejected) : isCanonical(read)) continue;
    throw new Error(`DOMAIN_SEED=${SEED}, text ${n}: ${JSON.stringify(text)} → ${JSON.stringify(read)}`);
  }
  console.log(`domains: seed ${SEED}, ${TEXTS} texts: ${JSON.stringify(Object.fromEntries(counts))}`);
  expect(new Set(counts.keys())).toEqual(
    new Set(['accepted', ...Object.keys(DOMAIN_REJECTIONS)].filter(name => name !== 'not-text')),
  );
});

/** Whether a result is A-labels in lower case, of lengths that DNS allows, and reads as itself. */
function isCanonical(read: { domain: string; registry: string }): boolean {
  const { domain, registry } = read;
  if (domain.length > 253 || !/^([a-z\d]([a-z\d-]{0,61}[a-z\d])?\.)+[a-z\d-]{2,63}$/.test(domain)) return false;
  return domain.endsWith(`.${registry}`) && JSON.stringify(readDomain(domain)) === JSON.stringify(read);
}
