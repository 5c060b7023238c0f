import type { Answer } from '../../stand-in/faults.ts';
import type { FeedRow } from './recordings.ts';

/** One argument of a call, as its text and its XML-RPC type; a value without a type element is a string. */
export interface Argument {
  type: string;
  text: string;
}

/** A call, or null where the body is not well-formed XML of a call. */
export type Call = { method: string; arguments: Argument[] } | null;

const HEADER = "<?xml version='1.0'?>\n";
const METHOD_CALL =
  /^\s*(?:<\?xml[^>]*\?>\s*)?<methodCall>\s*<methodName>\s*([\w.]+)\s*<\/methodName>([\s\S]*)<\/methodCall>\s*$/;
const ARGUMENTS = /^\s*(?:<params>([\s\S]*)<\/params>)?\s*$/;
const ARGUMENT = /^\s*<param>\s*<value>(?:\s*<(\w+)>([^<]*)<\/\1>\s*|([^<]*))<\/value>\s*<\/param>/;

/** Reads the body of a request. */
export function readCall(body: string): Call {
  const [, method, after = ''] = METHOD_CALL.exec(body) ?? [];
  const params = ARGUMENTS.exec(after);
  if (method === undefined || params === null) return null;
  const found: Argument[] = [];
  for (let rest = params[1] ?? ''; rest.trim() !== ''; ) {
    const argument = ARGUMENT.exec(rest);
    if (argument === null) return null;
    found.push({ type: argument[1] ?? 'string', text: argument[2] ?? argument[3] ?? '' });
    rest = rest.slice(argument[0].length);
  }
  return { method, arguments: found };
}

/** A page of the feed, byte for byte as Python's `xmlrpc.client` writes it: a nil is not followed by a newline. */
export function pageXml(rows: FeedRow[]): string {
  const list = rows.map(row => arrayXml(rowValues(row).join(''))).join('');
  return responseXml(arrayXml(list));
}

export function numberXml(number: number): string {
  return responseXml(intValue(number));
}

/** A refusal: XML-RPC answers it with HTTP status 200. */
export function feedFault(code: number, text: string): Answer {
  const members = member('faultCode', intValue(code)) + member('faultString', stringValue(text));
  const fault = `<fault>\n<value><struct>\n${members}</struct></value>\n</fault>\n`;
  return { status: 200, headers: XML, body: `${HEADER}<methodResponse>\n${fault}</methodResponse>\n` };
}

/** The fault of a client that asks too often. Without `seconds` the index does not say when it may ask again. */
export function tooManyRequests(seconds?: number): Answer {
  const reset = seconds === undefined ? '' : ` Limit may reset in ${seconds} seconds.`;
  return feedFault(
    -32500,
    `HTTPTooManyRequests: The action could not be performed because there were too many requests by the client.${reset}`,
  );
}

export const XML = { 'content-type': 'text/xml' };

function responseXml(value: string): string {
  return `${HEADER}<methodResponse>\n<params>\n<param>\n${value}</param>\n</params>\n</methodResponse>\n`;
}

function rowValues({ name, version, timestamp, action, serial }: FeedRow): string[] {
  const escapedAction = action === null ? null : escapeNonAscii(action);
  return [textValue(name), textValue(version), intValue(timestamp), textValue(escapedAction), intValue(serial)];
}

function arrayXml(values: string): string {
  return `<value><array><data>\n${values}</data></array></value>\n`;
}

function member(name: string, value: string): string {
  return `<member>\n<name>${name}</name>\n${value}</member>\n`;
}

function textValue(text: string | null): string {
  return text === null ? '<value><nil/></value>' : stringValue(text);
}

function stringValue(text: string): string {
  return `<value><string>${escapeXml(text)}</string></value>\n`;
}

function intValue(number: number): string {
  return `<value><int>${number}</int></value>\n`;
}

/** The index makes an action ASCII by character references before the XML writer escapes their `&` once more. */
function escapeNonAscii(text: string): string {
  return Array.from(text, char => (char.codePointAt(0)! > 0x7f ? `&#${char.codePointAt(0)};` : char)).join('');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
