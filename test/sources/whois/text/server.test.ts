import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { queryFor, serverOf } from '../../../../src/sources/whois/text/server.ts';

const fixture = (name: string) =>
  readFileSync(path.resolve(import.meta.dirname, '../../../fixtures/whois/text', `${name}.txt`), 'utf8');

describe('the server of a top-level domain', () => {
  it('is the host in IANA’s answer', () => {
    expect(serverOf(fixture('iana-de'))).toBe('whois.denic.de');
    expect(serverOf('refer:        WHOIS.Nic.Example.\n')).toBe('whois.nic.example');
    expect(serverOf('refer: whois.old.example\r\nwhois: whois.new.example\r\n')).toBe('whois.new.example');
  });

  it('is null when IANA’s answer has none', () => {
    expect(serverOf(fixture('iana-no-server'))).toBeNull();
    expect(serverOf('')).toBeNull();
    expect(serverOf('% This query returned 0 objects.\n')).toBeNull();
    expect(serverOf('whois:\ndomain: whois.example\n')).toBeNull();
  });

  it.each([
    '192.0.2.1',
    '127.0.0.1:43',
    '[2001:db8::1]',
    'localhost',
    'whois',
    'https://whois.example',
    'whois.example/x',
    '-whois.example',
    'whois..example',
    'who_is.example',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(130)}example`,
    'whois.example:25',
    'user@whois.example',
    'whois.exämple',
    '1.2',
  ])('is null when IANA’s answer has %s', server => {
    expect(serverOf(`whois: ${server}\n`)).toBeNull();
  });
});

describe('a query', () => {
  it.each([
    ['whois.verisign-grs.com', 'domain example.com'],
    ['WHOIS.denic.de', '-T dn,ace example.com'],
    ['whois.jprs.jp:43', 'example.com/e'],
    ['whois.punktum.dk', '--show-handles example.com'],
    ['whois.nic.example', 'example.com'],
    ['constructor', 'example.com'],
  ])('to %s is "%s"', (server, query) => {
    expect(queryFor(server, 'example.com')).toBe(query);
  });
});
