import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { shiftEvents } from '../../../../src/sources/whois/stand-in/registrations.ts';
import {
  startStandIn,
  type WhoisStandIn,
  type WhoisStandInOptions,
} from '../../../../src/sources/whois/stand-in/stand-in.ts';
import { statusOf } from '../../npm/stand-in/client.ts';

const started: WhoisStandIn[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map(standIn => standIn.stop()));
});

async function start(options: WhoisStandInOptions = {}): Promise<WhoisStandIn> {
  const standIn = await startStandIn(options);
  started.push(standIn);
  return standIn;
}

function domainUrl(
  standIn: WhoisStandIn,
  domain: string,
  server: keyof WhoisStandIn['origins'] = 'registry-a',
): string {
  return `${standIn.origins[server]}/domain/${domain}`;
}

async function expiryOf(standIn: WhoisStandIn, domain: string): Promise<string | undefined> {
  const answer = (await (await fetch(domainUrl(standIn, domain))).json()) as {
    events: { eventAction: string; eventDate: string }[];
  };
  return answer.events.find(({ eventAction }) => eventAction === 'expiration')?.eventDate;
}

/** A WHOIS server's answer to a line. */
async function ask(address: string, line: string): Promise<string> {
  const [host, port] = address.split(':');
  const socket = connect({ host: host!, port: Number(port), allowHalfOpen: true });
  socket.write(`${line}\r\n`);
  return text(socket);
}

test('IANA’s list names the stand-in’s servers, each on its own port, and is not sent again unchanged', async () => {
  const standIn = await start();
  const response = await fetch(standIn.settings.WHOIS_BOOTSTRAP_URL);
  const { services } = (await response.json()) as { services: [string[], string[]][] };
  expect(services.map(([, urls]) => urls)).toEqual([
    [`${standIn.origins['registry-a']}/`],
    [`${standIn.origins['registry-b']}/`],
  ]);
  expect(new Set([...Object.values(standIn.origins), new URL(response.url).origin]).size).toBe(5);
  expect(response.headers.get('cache-control')).toBe('max-age=86400');
  const headers = { 'if-none-match': response.headers.get('etag')! };
  expect(await statusOf(standIn.settings.WHOIS_BOOTSTRAP_URL, { headers })).toBe(304);
});

test('answers come in their order, the last one for ever, to a name in any case', async () => {
  const standIn = await start();
  const statuses = [];
  for (const name of ['crowded-example.net', 'CROWDED-EXAMPLE.NET', 'crowded-example.net', 'crowded-example.net'])
    statuses.push(await statusOf(domainUrl(standIn, name)));
  expect(statuses).toEqual([429, 429, 200, 200]);
  expect(await statusOf(domainUrl(standIn, 'nobody-knows.com'))).toBe(404);
  const moved = await fetch(domainUrl(standIn, 'moved-example.com'), { redirect: 'manual' });
  expect(moved.headers.get('location')).toBe(`${standIn.origins['registry-a']}/v2/domain/moved-example.com`);
  expect(standIn.requests['registry-a'].total).toBe(6);
});

test('a request without an answer is reported, and ends when the client closes it', async () => {
  const held = Promise.withResolvers<void>();
  const standIn = await start({ onHold: () => held.resolve() });
  const controller = new AbortController();
  const request = fetch(domainUrl(standIn, 'slow-example.com'), { signal: controller.signal });
  await held.promise;
  controller.abort();
  await expect(request).rejects.toThrow(/abort/);
  await expect.poll(() => standIn.requests['registry-a'].statuses.get(0)).toBe(1);
});

test('dates move with the day, except those that mean “no date”', async () => {
  expect(await expiryOf(await start(), 'harbour-example.com')).toBe('2026-11-28T04:00:00Z');
  expect(await expiryOf(await start({ day: '2027-01-01' }), 'harbour-example.com')).toBe('2027-01-04T04:00:00Z');
  const noDate = '{"eventDate": "0001-01-01T00:00:00Z"}';
  expect(shiftEvents(noDate, 37)).toBe(noDate);
  expect(shiftEvents('{"eventDate": "2026-12-11"}', -11)).toBe('{"eventDate": "2026-11-30"}');
});

test('from the later date on some domains have other answers', async () => {
  const standIn = await start();
  standIn.goTo(29);
  expect(await expiryOf(standIn, 'harbour-example.com')).toBe('2026-11-28T04:00:00Z');
  standIn.goTo(30);
  expect(await expiryOf(standIn, 'harbour-example.com')).toBe('2027-11-28T04:00:00Z');
  expect(await statusOf(domainUrl(standIn, 'leaving-example.net'))).toBe(404);
  expect(await expiryOf(standIn, 'copper-example.com')).toBe('2026-12-22T04:00:00Z');
});

test('the WHOIS server answers with a domain’s text, “not found”, or IANA’s answer to a top-level domain', async () => {
  const standIn = await start();
  const address = standIn.settings.WHOIS_IANA_SERVER;
  expect(standIn.settings.WHOIS_SERVERS.split(',')).toContain(`de=${address}`);
  expect(await ask(address, 'example-six.jp')).toContain('Example Six');
  expect(await ask(address, 'nobody-knows.jp')).toMatch(/not found/i);
  expect(await ask(address, 'de')).toContain('whois.denic.de');
  expect(await ask(address, 'no')).toMatch(/whois: +\n/);
  expect(standIn.queries).toEqual(['example-six.jp', 'nobody-knows.jp', 'de', 'no']);
  for (const domain of ['fjord-example.no', 'kettle-example.com', 'example-six.jp'])
    expect(standIn.domains).toContain(domain);
});

test('faults come first, for a domain, a server or a WHOIS query', async () => {
  const standIn = await start();
  standIn.fault('kettle-example.com', [{ status: 503 }, { cut: true }]);
  standIn.fault('/registry-b/', [{ status: 403 }], { repeat: true });
  standIn.fault('example-six.jp', [{ body: 'later' }]);
  const kettle = domainUrl(standIn, 'kettle-example.com');
  expect(await statusOf(kettle)).toBe(503);
  await expect(statusOf(kettle)).rejects.toThrow();
  expect(await statusOf(kettle)).toBe(200);
  const meadow = domainUrl(standIn, 'meadow-example.org', 'registry-b');
  for (let i = 0; i < 3; i++) expect(await statusOf(meadow)).toBe(403);
  standIn.clearFaults();
  expect(await statusOf(meadow)).toBe(200);
  standIn.fault('example-six.jp', [{ body: 'later' }]);
  expect(await ask(standIn.settings.WHOIS_IANA_SERVER, 'example-six.jp')).toBe('later');
  expect(await ask(standIn.settings.WHOIS_IANA_SERVER, 'example-six.jp')).toContain('Example Six');
});

test('the stand-in runs from the command line, at a later date with --days-on, and prints its settings', async () => {
  const file = path.resolve(import.meta.dirname, '../../../../src/sources/whois/stand-in/stand-in.ts');
  const program = spawn(process.execPath, [file, '--days-on', '31'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  program.stdout.setEncoding('utf8').on('data', chunk => {
    output += chunk;
  });
  const servers = /^WHOIS_SERVERS=de=(127\.0\.0\.1:\d+),.*\n/m;
  await expect.poll(() => output, { timeout: 30_000 }).toMatch(servers);
  const [, bootstrap = ''] = /^WHOIS_BOOTSTRAP_URL=(.*)$/m.exec(output)!;
  const { services } = (await (await fetch(bootstrap)).json()) as { services: [string[], string[]][] };
  expect(await statusOf(`${services[0]![1][0]}domain/leaving-example.net`)).toBe(404);
  program.kill('SIGTERM');
  expect(await once(program, 'exit')).toEqual([0, null]);
});
