import { afterEach } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { pypi } from '../../../src/sources/pypi/pypi.ts';
import type { PypiSettings } from '../../../src/sources/pypi/settings.ts';
import { startLoopback } from '../upstream/loopback.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

export const SIMPLE_JSON = 'application/vnd.pypi.simple.v1+json';

/** A row of the feed as it is sent: name, version, time, action, serial. */
export type SentRow = [
  name: string | null,
  version: string | null,
  time: number,
  action: string | null,
  serial: number,
];

/** Settings for an index at one origin. */
export function settingsFor(origin: string, env: Record<string, unknown> = {}): PypiSettings {
  return pypi.settings({ PYPI_URL: origin, PYPI_DOWNLOADS_URL: `${origin}/sql?user=demo`, ...env });
}

export interface Sent {
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export type Reply = { status?: number; body?: string | Uint8Array; headers?: Record<string, string> };

/** Starts an upstream whose answers a function gives; `sent` has the requests so far. */
export async function startUpstream(answer: (sent: Sent) => Reply | undefined, env: Record<string, unknown> = {}) {
  const sent: Sent[] = [];
  const server = await startLoopback(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const one = { method: request.method!, path: request.url!, headers: request.headers, body };
    sent.push(one);
    const { status = 200, body: text = '', headers = {} } = answer(one) ?? { status: 404, body: 'Not Found' };
    response.writeHead(status, headers).end(text);
  });
  stops.push(server.close);
  return { sent, origin: server.url, settings: settingsFor(server.url, env) };
}

/** The number that a call of the feed hands over; null where it hands over none. */
export function parameterOf({ body }: Sent): number | null {
  const text = /<int>(\d+)<\/int>/.exec(body)?.[1];
  return text === undefined ? null : Number(text);
}

/** Starts an index whose feed has these rows. */
export async function startFeed(rows: SentRow[], { head, ...env }: { head?: number } & Record<string, unknown> = {}) {
  return startUpstream(sent => {
    if (sent.path !== '/pypi') return undefined;
    const since = parameterOf(sent);
    const last = head ?? rows.at(-1)?.[4] ?? 0;
    const body = since === null ? answerXml(valueXml(last)) : pageXml(rows.filter(row => row[4] > since));
    return { body, headers: { 'content-type': 'text/xml; charset=utf-8' } };
  }, env);
}

/** A page as Python's `xmlrpc.client` writes it. */
export function pageXml(rows: readonly (readonly unknown[])[]): string {
  return answerXml(valueXml(rows));
}

export function answerXml(value: string): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n${value}</param>\n</params>\n</methodResponse>\n`;
}

export function faultXml(code: number, text: string): string {
  const member = (name: string, value: string) => `<member>\n<name>${name}</name>\n${value}</member>\n`;
  const struct = member('faultCode', valueXml(code)) + member('faultString', valueXml(text));
  return `<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n${struct}</struct></value>\n</fault>\n</methodResponse>\n`;
}

export function valueXml(value: unknown): string {
  if (value === null) return '<value><nil/></value>';
  if (typeof value === 'number') return `<value><int>${value}</int></value>\n`;
  if (Array.isArray(value)) return `<value><array><data>\n${value.map(valueXml).join('')}</data></array></value>\n`;
  return `<value><string>${escaped(String(value))}</string></value>\n`;
}

/** The only characters that Python's writer replaces. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export function changeOf(key: string, fields: Partial<Change> = {}): Change {
  return { key, cursor: '100', deleted: false, revision: 100, skip: null, ...fields };
}
