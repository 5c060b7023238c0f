import { describe, expect, it } from 'vitest';
import { isPublicName, mayName } from '../../../src/sources/upstream/named-hosts.ts';

const LOCAL = [
  'localhost',
  'LOCALHOST.',
  'a.localhost',
  'router.lan',
  'metadata.google.internal',
  'db.corp',
  'nas.home.arpa',
  'printer.local',
  'localhost.localdomain',
  'intranet',
  '127.0.0.1',
  '127.1',
  '0x7f.0x1',
  '2130706433',
  '169.254.169.254',
  '169.254.169.254.',
  '10.0.0.1',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[fd00:ec2::254]',
  'a..com',
  '',
  `${'a.'.repeat(130)}com`,
];

describe('a public name', () => {
  it.each(LOCAL)('is not %s', host => expect(isPublicName(host)).toBe(false));
  it.each([
    'rdap.verisign.com',
    'WHOIS.IANA.ORG',
    'whois.nic.xn--p1ai',
    'a_b.example.com',
    'example.com.',
    '1.example.com',
  ])('is %s', host => expect(isPublicName(host)).toBe(true));
});

describe('what an answer may name', () => {
  const HTTPS = 'https://rdap.example.com/domain/a.com';
  const HTTP = 'http://rdap.example.com/domain/a.com';
  const OWN = 'http://127.0.0.1:8080/domain/a.com';
  it.each([
    [HTTPS, 'https://rdap.example.net/', true],
    [HTTPS, 'http://rdap.example.net/', false],
    [HTTP, 'http://rdap.example.net/', true],
    [HTTP, 'https://rdap.example.net/', true],
    [HTTPS, 'https://127.0.0.1/', false],
    [HTTPS, 'https://2130706433/', false],
    [HTTPS, 'https://127。0。0。1/', false],
    [HTTP, 'http://169.254.169.254/latest/meta-data', false],
    [HTTPS, 'https://user:secret@rdap.example.net/', false],
    [HTTPS, 'ftp://rdap.example.net/', false],
    [HTTPS, 'file:///etc/passwd', false],
    [HTTPS, 'no url', false],
    [OWN, 'http://127.0.0.1:9090/', true],
    [OWN, 'http://localhost:9090/', true],
    [OWN, 'https://rdap.example.net/', true],
    ['https://localhost:8443/', 'http://127.0.0.1:9090/', false],
  ])('from %s: %s is %s', (from, to, may) => expect(mayName(from, to)).toBe(may));
});
