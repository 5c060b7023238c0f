import { describe, expect, it } from 'vitest';
import { compareNames, nameText, nameWire, readName } from '../../../src/sources/zones/name.ts';

const wire = (...parts: (string | number)[]) =>
  Uint8Array.from(parts.flatMap(part => (typeof part === 'number' ? [part] : [...Buffer.from(part, 'latin1')])));

describe('readName', () => {
  it.each([
    ['the root', wire(0), '.'],
    ['letters in lower case', wire(3, 'WWW', 7, 'Example', 3, 'com', 0), 'www.example.com.'],
    ['a dot within a label', wire(3, 'a.b', 3, 'com', 0), 'a\\.b.com.'],
    ['characters that mean something in a zone file', wire(9, ';()@$"\\ _', 0), '\\;\\(\\)\\@\\$\\"\\\\\\ _.'],
    ['octets that are no characters', wire(4, 0xe9, 0, 'A', 0x7f, 0), '\\233\\000a\\127.'],
  ])('reads %s, and nameWire gives it back', (_, bytes, text) => {
    const name = readName(bytes, 0);
    expect(nameText(name.wire)).toBe(text);
    expect(name.end).toBe(bytes.length);
    expect(nameWire(text)).toEqual(name.wire);
  });

  it('follows pointers to names before them', () => {
    const message = wire('......', 3, 'com', 0, 1, 'a', 0xc0, 6, 1, 'b', 0xc0, 11);
    expect(nameText(readName(message, 15).wire)).toBe('b.a.com.');
    expect(readName(message, 15).end).toBe(19);
  });

  it.each([
    ['a pointer to itself', wire(0xc0, 0), 0, 'pointer'],
    ['a pointer ahead', wire(0xc0, 2, 0), 0, 'pointer'],
    ['two pointers at each other', wire(1, 'a', 0xc0, 4, 1, 'b', 0xc0, 0), 4, 'pointer'],
    ['a label of a type nobody uses', wire(0x40, 0), 0, 'label'],
    ['a label that is cut', wire(5, 'ab'), 0, 'whole label'],
    ['a pointer that is cut', wire(0, 0xc0), 1, 'octet'],
    ['a name without an end', wire(1, 'a'), 0, 'octet'],
    ['a name of 256 octets', wire(...Array.from({ length: 4 }, () => [63, 'x'.repeat(63)]).flat(), 0), 0, '255 octets'],
    [
      '128 pointers',
      wire(
        0,
        ...Array.from({ length: 200 }, (_, i) => [0xc0 | ((2 * i - 1) >> 8), Math.max(0, 2 * i - 1) & 0xff]).flat(),
      ),
      399,
      'pointers',
    ],
  ])('refuses %s', (_, bytes, at, expected) => {
    expect(() => readName(bytes, at)).toThrow(expected);
  });

  it('reads a name of 255 octets', () => {
    const bytes = wire(...Array.from({ length: 3 }, () => [63, 'x'.repeat(63)]).flat(), 61, 'x'.repeat(61), 0);
    expect(readName(bytes, 0).wire).toHaveLength(255);
  });
});

it.each(['a..b.', '.a.', `${'x'.repeat(64)}.`, `${`${'x'.repeat(63)}.`.repeat(4)}`, 'a\\', 'a\\999.', 'é.'])(
  'nameWire refuses %s',
  text => {
    expect(() => nameWire(text)).toThrow(/expected/);
  },
);

it('orders names as RFC 4034 shows in 6.1', () => {
  const names = [
    'example.',
    'a.example.',
    'yljkjljk.a.example.',
    'Z.a.example.',
    'zABC.a.EXAMPLE.',
    'z.example.',
    '\\001.z.example.',
    '*.z.example.',
    '\\200.z.example.',
  ];
  const wires = names.map(nameWire);
  const shuffled = wires.toSorted((a, b) => a.length - b.length || Buffer.compare(b, a));
  expect(shuffled.sort(compareNames)).toEqual(wires);
});
