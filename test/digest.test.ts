import { expect, it } from 'vitest';
import { isSigned } from '../src/digest.ts';

/** The example of GitHub's page on validating webhook deliveries. */
const SECRET = "It's a Secret to Everybody";
const BODY = Buffer.from('Hello, World!');
const SIGNATURE = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';

it('takes the signature of a known example, in either case of letters', () => {
  expect(isSigned(BODY, { secret: SECRET, signature: SIGNATURE })).toBe(true);
  expect(isSigned(BODY, { secret: SECRET, signature: SIGNATURE.toUpperCase() })).toBe(true);
});

it.each([
  ['another body', { body: Buffer.from('Hello, World') }],
  ['another secret', { secret: 'another' }],
  ['a digit changed', { signature: SIGNATURE.replace('7', '8') }],
  ['a shorter one', { signature: SIGNATURE.slice(0, 62) }],
  ['a longer one', { signature: `${SIGNATURE}00` }],
  ['no hexadecimal digits', { signature: 'z'.repeat(64) }],
  ['a line after it', { signature: `${SIGNATURE}\n` }],
  ['none', { signature: '' }],
])('refuses %s', (_, { body = BODY, ...given }: { body?: Buffer; secret?: string; signature?: string }) => {
  expect(isSigned(body, { secret: SECRET, signature: SIGNATURE, ...given })).toBe(false);
});

it('refuses every signature while the secret is empty', () => {
  const ofEmpty = 'b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad';
  expect(isSigned(Buffer.from(''), { secret: '', signature: ofEmpty })).toBe(false);
});
