import { describe, expect, it } from 'vitest';
import { ChangeError, MESSAGE_LENGTH_MAX, messageOf, StepError } from '../src/errors.ts';

const MAKERS: [string, (text: string) => string][] = [
  ['ChangeError', text => new ChangeError('timeout', text).message],
  ['StepError', text => new StepError('deadline', text).message],
  ['messageOf an error', text => messageOf(new TypeError(text))],
  ['messageOf a text', text => messageOf(text)],
];

describe.each(MAKERS)('the message of %s', (_, messageFor) => {
  it('is cut', () => {
    const message = messageFor(`redirected too often: https://a.example/${'x'.repeat(60_000)} `.repeat(20));
    expect(message).toHaveLength(MESSAGE_LENGTH_MAX);
    expect(message.startsWith('redirected too often: https://a.example/xxx')).toBe(true);
    expect(messageFor('short')).toBe('short');
  });

  it('has no login, query or fragment of an address, wherever the text is cut', () => {
    const text = 'got https://user:secret@a.example:8443/b?token=secret#secret, then (s3://k:secret@b.example?secret)';
    expect(messageFor(text)).toBe('got https://a.example:8443/b then (s3://b.example');
    for (let length = MESSAGE_LENGTH_MAX - 60; length < MESSAGE_LENGTH_MAX; length++)
      expect(messageFor(`${'x'.repeat(length)} https://user:secret@a.example/?secret`)).not.toContain('secret');
  });

  it('is well-formed text, also where half a character is cut off', () => {
    for (const text of ['\ud800', `${'x'.repeat(MESSAGE_LENGTH_MAX - 2)}😀😀`])
      expect(messageFor(text).isWellFormed()).toBe(true);
  });

  it('is made in linear time of a long run of letters', () => {
    const started = performance.now();
    messageFor('a'.repeat(2_000_000));
    messageFor('a://'.repeat(500_000));
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
