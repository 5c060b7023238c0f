import { expect, it } from 'vitest';
import { lineKeys } from '../../../src/local/probe/text.ts';

const keysOf = (text: string) => Object.keys(lineKeys(new TextEncoder().encode(text)));

it('the keys of lines are those of registries, in lower case and once', () => {
  const lines = [
    'Domain Name: a.example',
    'Nserver: ns1',
    '   nserver: ns2',
    'Registrant.....: x',
    'Changed:',
    'e-mail:x@y',
  ];
  expect(keysOf(lines.join('\r\n'))).toEqual(['domain name', 'nserver', 'registrant', 'changed', 'e-mail']);
  expect(keysOf('[Domain Name]   A.EXAMPLE\na. [State] x')).toEqual(['domain name']);
});

it('comments and prose have no keys', () => {
  const prose = 'You agree that you will use this data only for lawful purposes and that: you';
  expect(
    keysOf(`% Rights: none\n# note: x\n>>> Last update: now <<<\n${prose}\nhttps://a.example\nno key here`),
  ).toEqual([]);
});
