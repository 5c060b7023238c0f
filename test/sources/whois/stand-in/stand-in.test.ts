import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { shiftEvents } from '../../../../src/sources/whois/stand-in/registrations.ts';
import {
  type RdapReplay,
  type RdapReplayOptions,
  startRdapReplay,
} from '../../../../src/sources/whois/stand-in/stand-in.ts';
import { statusOf } from '../../npm/stand-in/client.ts';

const started: RdapReplay[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map(replay => replay.close()));
});

async function start(options: RdapReplayOptions = {}): Promise<RdapReplay> {
  const replay = await startRdapReplay(options);
  started.push(replay);
  return replay;
}

function domainUrl(replay: RdapReplay, domain: string, server: keyof RdapReplay['origins'] = 'registry-a'): string {
  return `${replay.origins[server]}/domain/${domain}`;
}

async function expiryOf(replay: RdapReplay, domain: string): Promise<string | undefined> {
  const answer = (await (await fetch(domainUrl(replay, domain))).json()) as {
    events: { eventAction: string; eventDate: string }[];
  };
  return answer.events.find(({ eventAction }) => eventAction === 'expiration')?.eventDate;
}

/** What a WHOIS server answers to a line. */
async function ask(address: string, line: string): Promise<string> {
  const [host, port] = address.split(':');
  const socket = connect({ host: host!, port: Number(port), allowHalfOpen: true });
  socket.write(`${line}\r\n`);
  return text(socket);
}

test('IANA’s list names the replay’s own servers, each on a port of its own, and is not sent again unchanged', async () => {
  const replay = await start();
  const response = await fetch(replay.settings.WHOIS_BOOTSTRAP_URL);
  const { services } = (await response.json()) as { services: [string[], string[]][] };
  expect(services.map(([, urls]) => urls)).toEqual([
    [`${replay.origins['registry-a']}/`],
    [`${replay.origins['registry-b']}/`],
  ]);
  expect(new Set([...Object.values(replay.origins), new URL(response.url).origin]).size).toBe(5);
  expect(response.headers.get('cache-control')).toBe('max-age=86400');
  const headers = { 'if-none-match': response.headers.get('etag')! };
  expect(await statusOf(replay.settings.WHOIS_BOOTSTRAP_URL, { headers })).toBe(304);
});

test('answers come in their order, the last one for ever, in any case of the name', async () => {
  const replay = await start();
  const statuses = [];
  for (const name of ['crowded-example.net', 'CROWDED-EXAMPLE.NET', 'crowded-example.net', 'crowded-example.net'])
    statuses.push(await statusOf(domainUrl(replay, name)));
  expect(statuses).toEqual([429, 429, 200, 200]);
  expect(await statusOf(domainUrl(replay, 'nobody-knows.com'))).toBe(404);
  const moved = await fetch(domainUrl(replay, 'moved-example.com'), { redirect: 'manual' });
  expect(moved.headers.get('location')).toBe(`${replay.origins['registry-a']}/v2/domain/moved-example.com`);
  expect(replay.requests['registry-a'].total).toBe(6);
});

test('an answer that never comes is told of, and ends with the client', async () => {
  const held = Promise.withResolvers<void>();
  const replay = await start({ onHold: () => held.resolve() });
  const given = new AbortController();
  const asked = fetch(domainUrl(replay, 'slow-example.com'), { signal: given.signal });
  await held.promise;
  given.abort();
  await expect(asked).rejects.toThrow(/abort/);
  await expect.poll(() => replay.requests['registry-a'].statuses.get(0)).toBe(1);
});

test('dates move with the day, but for stand-ins', async () => {
  expect(await expiryOf(await start(), 'harbour-example.com')).toBe('2026-11-28T04:00:00Z');
  expect(await expiryOf(await start({ day: '2027-01-01' }), 'harbour-example.com')).toBe('2027-01-04T04:00:00Z');
  const standIn = '{"eventDate": "0001-01-01T00:00:00Z"}';
  expect(shiftEvents(standIn, 37)).toBe(standIn);
  expect(shiftEvents('{"eventDate": "2026-12-11"}', -11)).toBe('{"eventDate": "2026-11-30"}');
});

test('a month on some domains are answered for otherwise, and the others as before', async () => {
  const replay = await start();
  replay.goTo(29);
  expect(await expiryOf(replay, 'harbour-example.com')).toBe('2026-11-28T04:00:00Z');
  replay.goTo(30);
  expect(await expiryOf(replay, 'harbour-example.com')).toBe('2027-11-28T04:00:00Z');
  expect(await statusOf(domainUrl(replay, 'leaving-example.net'))).toBe(404);
  expect(await expiryOf(replay, 'copper-example.com')).toBe('2026-12-22T04:00:00Z');
});

test('WHOIS answers with the text of a domain, that it knows none, or what IANA knows of a top-level domain', async () => {
  const replay = await start();
  const address = replay.settings.WHOIS_IANA_SERVER;
  expect(replay.settings.WHOIS_SERVERS.split(',')).toContain(`de=${address}`);
  expect(await ask(address, 'example-six.jp')).toContain('Example Six');
  expect(await ask(address, 'nobody-knows.jp')).toMatch(/not found/i);
  expect(await ask(address, 'de')).toContain('whois.denic.de');
  expect(await ask(address, 'no')).toMatch(/whois: +\n/);
  expect(replay.questions).toEqual(['example-six.jp', 'nobody-knows.jp', 'de', 'no']);
  for (const domain of ['fjord-example.no', 'kettle-example.com', 'example-six.jp'])
    expect(replay.domains).toContain(domain);
});

test('faults come first, for a domain, a server or a line of text', async () => {
  const replay = await start();
  replay.fault('kettle-example.com', [{ status: 503 }, { cut: true }]);
  replay.fault('/registry-b/', [{ status: 403 }], { repeat: true });
  replay.fault('example-six.jp', [{ body: 'later' }]);
  const kettle = domainUrl(replay, 'kettle-example.com');
  expect(await statusOf(kettle)).toBe(503);
  await expect(statusOf(kettle)).rejects.toThrow();
  expect(await statusOf(kettle)).toBe(200);
  const meadow = domainUrl(replay, 'meadow-example.org', 'registry-b');
  for (let i = 0; i < 3; i++) expect(await statusOf(meadow)).toBe(403);
  replay.clearFaults();
  expect(await statusOf(meadow)).toBe(200);
  replay.fault('example-six.jp', [{ body: 'later' }]);
  expect(await ask(replay.settings.WHOIS_IANA_SERVER, 'example-six.jp')).toBe('later');
  expect(await ask(replay.settings.WHOIS_IANA_SERVER, 'example-six.jp')).toContain('Example Six');
});

test('the replay runs from the command line, at a later time if told to, and prints the settings that lead to it', async () => {
  const program = path.resolve(import.meta.dirname, '../../../../src/sources/whois/stand-in/stand-in.ts');
  const replay = spawn(process.execPath, [program, '--days-on', '31'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  replay.stdout.setEncoding('utf8').on('data', chunk => {
    output += chunk;
  });
  const servers = /^WHOIS_SERVERS=de=(127\.0\.0\.1:\d+),.*\n/m;
  await expect.poll(() => output, { timeout: 30_000 }).toMatch(servers);
  const [, bootstrap = ''] = /^WHOIS_BOOTSTRAP_URL=(.*)$/m.exec(output)!;
  const { services } = (await (await fetch(bootstrap)).json()) as { services: [string[], string[]][] };
  expect(await statusOf(`${services[0]![1][0]}domain/leaving-example.net`)).toBe(404);
  replay.kill('SIGTERM');
  expect(await once(replay, 'exit')).toEqual([0, null]);
});
