import { afterEach } from 'vitest';
import {
  type PypiStandIn,
  type PypiStandInOptions,
  startStandIn,
} from '../../../../src/sources/pypi/stand-in/stand-in.ts';

const started: PypiStandIn[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map(standIn => standIn.stop()));
});

/** Starts a stand-in that stops with the test. */
export async function start(options: PypiStandInOptions = {}): Promise<PypiStandIn> {
  const standIn = await startStandIn(options);
  started.push(standIn);
  return standIn;
}

/** Posts a body to the feed. */
export function post(
  standIn: PypiStandIn,
  body: string,
  { path = '/pypi', type = 'text/xml' }: { path?: string; type?: string } = {},
): Promise<Response> {
  return fetch(`${standIn.origin}${path}`, { method: 'POST', headers: { 'content-type': type }, body });
}

/** The body of a call with the given arguments, each as XML. */
export function callXml(method: string, ...values: string[]): string {
  const params = values.map(value => `<param><value>${value}</value></param>`).join('');
  return `<?xml version='1.0'?>\n<methodCall><methodName>${method}</methodName><params>${params}</params></methodCall>`;
}

/** The XML of the page after a serial. */
export async function pageXml(standIn: PypiStandIn, serial: number, path?: string): Promise<string> {
  return (await post(standIn, callXml('changelog_since_serial', `<int>${serial}</int>`), { path })).text();
}

/** The serials on the page after a serial: a row has two whole numbers, and the second one is its serial. */
export async function serialsAfter(standIn: PypiStandIn, serial: number, path?: string): Promise<number[]> {
  const ints = [...(await pageXml(standIn, serial, path)).matchAll(/<int>(\d+)<\/int>/g)].map(found =>
    Number(found[1]),
  );
  return ints.filter((_, index) => index % 2 === 1);
}

/** The code and text of a fault; null where the answer is none. */
export async function faultIn(response: Response): Promise<{ status: number; code: number; text: string } | null> {
  const xml = await response.text();
  const [, code, text] =
    /<name>faultCode<\/name>\n<value><int>(-?\d+)<\/int>[\s\S]*<value><string>(.*)<\/string>/.exec(xml) ?? [];
  return code === undefined ? null : { status: response.status, code: Number(code), text: text! };
}

/** An answer to a GET that follows no redirect. */
export async function get(
  standIn: PypiStandIn,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${standIn.origin}${path}`, { headers, redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export const SIMPLE_JSON = 'application/vnd.pypi.simple.v1+json';

/** The document of a project as JSON. */
export async function documentOf(standIn: PypiStandIn, key: string): Promise<Record<string, unknown>> {
  return JSON.parse((await get(standIn, `/pypi/${key}/json`)).text);
}

/** An answer of the simple index as JSON. */
export async function simple<T>(standIn: PypiStandIn, path: string): Promise<T> {
  return JSON.parse((await get(standIn, path, { accept: SIMPLE_JSON })).text);
}
